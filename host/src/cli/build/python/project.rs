//! A Python project as its `pyproject.toml` describes it.
//!
//! Not the standard's whole: what a build needs, and `[tool.signalbox]`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::build::{BuildError, file};

/// The SDK's name among the dependencies: it comes with the project.
const SDK: &str = "signalbox";

/// What is to be built.
#[derive(Debug)]
pub(super) struct Project {
    /// The project's directory.
    pub(super) root: PathBuf,
    /// The component's name: the project's.
    pub(super) name: String,
    /// The module that declares the plugin.
    pub(super) module: String,
    /// Where modules are looked for, in this order.
    pub(super) path: Vec<PathBuf>,
    /// Requirements beyond the SDK, as pip reads them.
    pub(super) dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Pyproject {
    project: Option<Standard>,
    tool: Option<Tool>,
}

/// The standard's table.
#[derive(Deserialize)]
struct Standard {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Tool {
    signalbox: Option<Own>,
}

/// `[tool.signalbox]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Own {
    module: String,
    path: Vec<PathBuf>,
}

impl Default for Own {
    fn default() -> Self {
        Self { module: "receivers".to_owned(), path: vec![PathBuf::from("sdk")] }
    }
}

impl Project {
    pub(super) fn read(root: &Path) -> Result<Self, BuildError> {
        let at = root.join("pyproject.toml");
        let refuse = |cause: String| BuildError::Project { file: at.clone(), cause };
        let text = match fs::read_to_string(&at) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(refuse(
                    "there is none: `signalbox new NAME --lang python` makes one".into(),
                ));
            }
            Err(error) => return Err(file("read", &at)(error)),
        };
        let read: Pyproject = toml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let Some(standard) = read.project else {
            return Err(refuse("it has no `[project]` with a `name`".into()));
        };
        let own = read.tool.and_then(|tool| tool.signalbox).unwrap_or_default();
        let named =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !own.module.split('.').all(named) {
            return Err(refuse(format!(
                "`{}` is no name of a module, such as `receivers`",
                own.module
            )));
        }
        let path: Vec<PathBuf> = [root.to_owned()]
            .into_iter()
            .chain(own.path.iter().map(|below| root.join(below)))
            .collect();
        let module = PathBuf::from(own.module.replace('.', "/"));
        if !path.iter().any(|directory| is_module(&directory.join(&module))) {
            return Err(refuse(format!(
                "there is no `{}.py` here: name the module that declares the plugin as `module` in \
                 `[tool.signalbox]`, and its directory in `path` if it is not the project's own",
                module.display()
            )));
        }
        if !path.iter().any(|directory| is_module(&directory.join(SDK))) {
            return Err(refuse(format!(
                "the SDK `{SDK}` is in none of {}: name its directory in `path` of `[tool.signalbox]`; \
                 `signalbox new NAME --lang python` puts it into `sdk`",
                path.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
            )));
        }
        let dependencies =
            standard.dependencies.into_iter().filter(|dependency| requirement(dependency) != SDK);
        let dependencies = dependencies.collect();
        let name = standard.name.to_lowercase().replace(['_', '.'], "-");
        Ok(Self { root: root.to_owned(), name, module: own.module, path, dependencies })
    }
}

fn is_module(path: &Path) -> bool {
    path.with_extension("py").is_file() || path.join("__init__.py").is_file()
}

/// The package that a requirement names: `requests[socks]>=2` is `requests`.
fn requirement(text: &str) -> String {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    text.trim().get(..end.unwrap_or(text.len())).unwrap_or_default().to_lowercase()
}
