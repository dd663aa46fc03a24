//! What a project's `package.json` says, and what npm has installed for it.
//!
//! Not npm: nothing is resolved here, only looked for where npm puts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::build::{BuildError, file};

/// Where a plugin's module is looked for, in this order.
const ENTRIES: [&str; 6] =
    ["src/index.ts", "src/index.js", "src/index.mjs", "index.ts", "index.js", "index.mjs"];

/// The engine that runs the JavaScript inside the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    /// Small and quick to start.
    #[default]
    QuickJs,
    /// Firefox's: seven times the size and start-up, and with `URL`.
    StarlingMonkey,
}

impl Engine {
    /// The npm package that makes components with it, the version this host was tried with, and
    /// the program in it.
    pub(super) const fn package(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::QuickJs => ("componentize-qjs", "0.4.5", "componentize-qjs"),
            Self::StarlingMonkey => {
                ("@bytecodealliance/componentize-js", "0.23.0", "componentize-js")
            }
        }
    }
}

/// `package.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: Option<String>,
    #[serde(default)]
    signalbox: Options,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    entry: Option<PathBuf>,
    #[serde(default)]
    engine: Engine,
}

/// A package that a build needs.
pub(super) struct Need {
    /// Where it belongs in `package.json`.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// What this host was tried with.
    pub(super) version: &'static str,
    pub(super) purpose: &'static str,
}

impl Need {
    const fn new(
        section: &'static str,
        name: &'static str,
        version: &'static str,
        purpose: &'static str,
    ) -> Self {
        Self { section, name, version, purpose }
    }
}

/// A project in a directory.
pub(super) struct Package {
    pub(super) dir: PathBuf,
    pub(super) name: String,
    pub(super) engine: Engine,
    /// The plugin's module, below the directory.
    pub(super) entry: PathBuf,
    declared: Vec<String>,
}

impl Package {
    pub(super) fn read(dir: &Path) -> Result<Self, BuildError> {
        let path = dir.join("package.json");
        let text = fs::read(&path).map_err(file("read", &path))?;
        let wrong = |cause: String| BuildError::Project { file: path.clone(), cause };
        let written: Written =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let name = written.name.as_deref().and_then(|name| name.rsplit('/').next());
        let name = name.filter(|name| !name.is_empty()).unwrap_or("plugin").to_owned();
        let entry = match written.signalbox.entry {
            Some(entry) if dir.join(&entry).is_file() => Some(entry),
            Some(entry) => {
                let entry = entry.display();
                return Err(wrong(format!(
                    "`signalbox.entry` is {entry}, and no such file is there"
                )));
            }
            None => ENTRIES.iter().map(PathBuf::from).find(|entry| dir.join(entry).is_file()),
        };
        let entry = entry.ok_or_else(|| {
            let usual = ENTRIES.join(", ");
            wrong(format!(
                "beside it is none of {usual}; write the plugin there, or name its module with \
                 `\"signalbox\": {{\"entry\": \"FILE\"}}`"
            ))
        })?;
        let declared = written.dependencies.into_keys().chain(written.dev_dependencies.into_keys());
        Ok(Self {
            dir: dir.to_owned(),
            name,
            engine: written.signalbox.engine,
            entry,
            declared: declared.collect(),
        })
    }

    /// Whether the project has its types checked before it is bundled.
    pub(super) fn is_typed(&self) -> bool {
        self.dir.join("tsconfig.json").is_file() && self.declares("typescript")
    }

    pub(super) fn declares(&self, package: &str) -> bool {
        self.declared.iter().any(|name| name == package)
    }

    /// Those of npm's packages that a build needs and that are not installed.
    pub(super) fn missing(&self) -> Vec<Need> {
        let (engine, version, _) = self.engine.package();
        let (own, tools) = ("dependencies", "devDependencies");
        let mut needs = vec![
            Need::new(own, "@signalbox/sdk", "file:./sdk", "plugins are written with"),
            Need::new(tools, "esbuild", "0.28.2", "bundles the plugin"),
            Need::new(tools, engine, version, "makes the component"),
        ];
        if self.is_typed() {
            needs.push(Need::new(tools, "typescript", "7.0.2", "checks types"));
        }
        needs.retain(|need| self.installed(Path::new(need.name)).is_none());
        needs
    }

    /// A program of an installed package.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let found = self.installed(&Path::new(".bin").join(name));
        found.unwrap_or_else(|| self.dir.join("node_modules/.bin").join(name))
    }

    /// Something in `node_modules`: the project's, or a workspace's above it.
    fn installed(&self, what: &Path) -> Option<PathBuf> {
        let here = self.dir.canonicalize().ok()?;
        here.ancestors().map(|dir| dir.join("node_modules").join(what)).find(|path| path.exists())
    }

    /// Whether what is declared or locked was changed after npm last installed.
    pub(super) fn is_stale(&self) -> bool {
        let changed =
            |name: &str| fs::metadata(self.dir.join(name)).and_then(|m| m.modified()).ok();
        let installed = changed("node_modules/.package-lock.json");
        changed("package.json").max(changed("package-lock.json")) > installed
    }
}
