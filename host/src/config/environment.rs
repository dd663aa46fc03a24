//! The process environment as a value, and the one place where it is read.

use std::collections::BTreeMap;

/// Environment variables.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. What is not UTF-8 in a value is replaced by U+FFFD, so that a
    /// key it sets is refused rather than passed over.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one door of the environment")]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Variables that set configuration keys, with the path each sets, in the order of names.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, Vec<String>, &str)> {
        self.0.iter().filter_map(|(name, value)| {
            let path = path_of(name)?;
            Some((name.as_str(), path, value.as_str()))
        })
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// `SIGNALBOX_SERVER__LISTEN` is `server.listen`. Names without `__` set no key.
fn path_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("SIGNALBOX_")?;
    if !rest.contains("__") {
        return None;
    }
    let mut path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    // Plugin names hold hyphens and never underscores.
    if let [section, plugin, ..] = path.as_mut_slice()
        && section == "plugin"
    {
        *plugin = plugin.replace('_', "-");
    }
    Some(path)
}
