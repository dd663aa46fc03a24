//! The lines of `signalbox.toml` that grant a plugin what it asks for.
//!
//! Not whether they are good to grant: that is the operator's to judge.

use crate::domain::grant::{EMIT, Grant, HTTP, OBJECTS, SECRET};
use crate::domain::plugin::{CapabilityRequest, PluginName};

/// What to do about requests that nothing covers.
pub(super) fn remedy(
    plugin: &PluginName,
    missing: &[CapabilityRequest],
    granted: &[Grant],
) -> String {
    match paste(plugin, missing, granted) {
        Ok(lines) => {
            let secret = missing.iter().any(|request| request.capability == SECRET);
            let note =
                if secret { " (its secrets belong where they are needed alone)" } else { "" };
            format!(
                "if you trust it with that{note}, put these lines into signalbox.toml:\n{lines}"
            )
        }
        Err(otherwise) => otherwise,
    }
}

/// The lines that grant it: the whole of the plugin's grants, since a list that is pasted takes the
/// place of the one before.
///
/// # Errors
/// What to do where no lines help, or there is nothing to grant.
pub(super) fn paste(
    plugin: &PluginName,
    missing: &[CapabilityRequest],
    granted: &[Grant],
) -> Result<String, String> {
    if missing.is_empty() {
        return Err("nothing is missing".to_owned());
    }
    let foreign: Vec<_> = missing
        .iter()
        .filter(|r| ![HTTP, EMIT, OBJECTS, SECRET].contains(&r.capability.as_str()))
        .map(|r| format!("`{}`", r.capability))
        .collect();
    if !foreign.is_empty() {
        return Err(format!(
            "remove the requests of {} from its manifest or use a version of signalbox that can \
             grant them; this one cannot",
            foreign.join(", ")
        ));
    }
    let mut grants: Vec<Line> = granted.iter().map(Line::granted).collect();
    let asked = missing.iter().filter(|r| r.capability != SECRET);
    grants.extend(asked.map(|r| Line {
        capability: r.capability.clone(),
        scope: r.scope.clone(),
        secrets: Vec::new(),
        new: true,
    }));
    let secrets: Vec<&str> =
        missing.iter().filter(|r| r.capability == SECRET).map(|r| r.scope.as_str()).collect();
    // A secret goes into a request, so it is granted with one: with those that are new, else with
    // those that are there.
    let any_new = grants.iter().any(|line| line.new && line.capability == HTTP);
    let mut placed = false;
    for line in &mut grants {
        if line.capability == HTTP && line.new == any_new {
            placed = true;
            line.secrets.extend(secrets.iter().map(|&name| name.to_owned()));
        }
    }
    if !secrets.is_empty() && !placed {
        return Err(format!(
            "a secret is granted with the requests it may be put into: give [plugin.{plugin}] a \
             grant of `{HTTP}` with `secrets = [{}]`",
            quoted(&secrets)
        ));
    }
    let lines: Vec<_> = grants.iter().map(Line::text).collect();
    let list = match lines.as_slice() {
        [one] => format!("[{one}]"),
        more => format!("[\n  {},\n]", more.join(",\n  ")),
    };
    Ok(format!("[plugin.{plugin}]\ngrants = {list}"))
}

struct Line {
    capability: String,
    scope: String,
    secrets: Vec<String>,
    new: bool,
}

impl Line {
    fn granted(grant: &Grant) -> Self {
        let (capability, scope, secrets) = match grant {
            Grant::Http { scope, secrets } => (HTTP, scope.to_string(), secrets.clone()),
            Grant::Emit(kinds) => (EMIT, kinds.to_string(), Vec::new()),
            Grant::Objects(scope) => (OBJECTS, scope.to_string(), Vec::new()),
        };
        Self { capability: capability.to_owned(), scope, secrets, new: false }
    }

    fn text(&self) -> String {
        let secrets = match self.secrets.as_slice() {
            [] => String::new(),
            names => format!(", secrets = [{}]", quoted(names)),
        };
        format!("{{ capability = {:?}, scope = {:?}{secrets} }}", self.capability, self.scope)
    }
}

fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("{:?}", name.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(capability: &str, scope: &str) -> CapabilityRequest {
        CapabilityRequest { capability: capability.to_owned(), scope: scope.to_owned() }
    }

    #[test]
    fn what_is_pasted_covers_what_was_missing_and_keeps_what_was_there() {
        let plugin: PluginName = "dunning".parse().unwrap();
        let there = [Grant::parse(HTTP, "GET https://a.com/*", vec!["old".into()]).unwrap()];
        let missing = [
            request(HTTP, "POST https://mail.example.com/*"),
            request(EMIT, "reminder.*"),
            request(SECRET, "MAIL_KEY"),
        ];
        let text = remedy(&plugin, &missing, &there);
        let lines = "[plugin.dunning]\ngrants = [\n  \
             { capability = \"outbox.http\", scope = \"GET https://a.com/*\", secrets = [\"old\"] },\n  \
             { capability = \"outbox.http\", scope = \"POST https://mail.example.com/*\", secrets = [\"MAIL_KEY\"] },\n  \
             { capability = \"outbox.emit\", scope = \"reminder.*\" },\n]";
        assert!(text.contains(lines), "{text}");
        let text = remedy(&plugin, &missing[2..], &there);
        assert!(text.contains("secrets = [\"old\", \"MAIL_KEY\"]"), "{text}");
        let text = remedy(&plugin, &missing[2..], &[]);
        assert!(text.contains("give [plugin.dunning] a grant of `outbox.http`"), "{text}");
        let objects = [Grant::parse(OBJECTS, "stripe price", vec![]).unwrap()];
        let text = remedy(&plugin, &[request(OBJECTS, "stripe customer")], &objects);
        let lines = "{ capability = \"objects\", scope = \"stripe price\" },\n  \
             { capability = \"objects\", scope = \"stripe customer\" },";
        assert!(text.contains(lines), "{text}");
        let text = remedy(&plugin, &[request("wishes", "any")], &[]);
        assert!(text.contains("`wishes`") && text.contains("this one cannot"), "{text}");
    }
}
