//! A cargo project as cargo describes it, and its compilation to modules.
//!
//! Not the compiler (`toolchain`) and not the component (`encode`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::toolchain::{TARGET, Toolchain};
use crate::cli::build::process::{Tools, run};
use crate::cli::build::{BuildError, BuildOptions, Progress, file, not_run};

/// Bytes a module has for its allocator from the start, beside its stack: 256 KiB parse an event of 150
/// KiB. What is not touched costs nothing; a module that outgrows it asks for more.
const INITIAL_HEAP: usize = 256 << 10;

/// The plugins of a cargo project.
pub(super) struct Project {
    root: PathBuf,
    /// Cargo's target directory.
    pub(super) target: PathBuf,
    /// Package id by name.
    plugins: BTreeMap<String, String>,
    /// Directories of packages beyond the workspace, e.g. the SDK's in this repository.
    elsewhere: BTreeMap<String, PathBuf>,
}

/// `cargo metadata`, format version 1.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// What cargo says of a finished crate, among its other messages.
#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    filenames: Vec<PathBuf>,
}

impl Project {
    pub(super) fn read(tools: &Tools, options: &BuildOptions) -> Result<Self, BuildError> {
        let mut command = tools.command("cargo");
        command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]);
        command.args(options.locked.then_some("--locked")).current_dir(&options.project);
        let ended = run(&mut command, |_| {}).map_err(not_run("cargo"))?;
        let refused = |output| BuildError::Manifest { project: options.project.clone(), output };
        if !ended.status.success() {
            return Err(refused(ended.stderr));
        }
        let metadata: Metadata =
            serde_json::from_str(&ended.stdout).map_err(|error| refused(error.to_string()))?;
        let mut project = Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            plugins: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
        };
        // In a member's directory cargo still speaks of the whole workspace.
        let here = options.project.join("Cargo.toml").canonicalize();
        let here = here.map_err(file("read", &options.project))?;
        let own = metadata.packages.iter().find(|package| package.manifest_path == here);
        let wanted = match own {
            Some(package) => vec![package.id.clone()],
            None => metadata.workspace_default_members,
        };
        for package in metadata.packages {
            let plugin =
                package.targets.iter().any(|t| t.crate_types.iter().any(|c| c == "cdylib"));
            if plugin && wanted.contains(&package.id) {
                project.plugins.insert(package.name, package.id);
            } else if let (None, Some(directory)) =
                (&package.source, package.manifest_path.parent())
                && !directory.starts_with(&project.root)
            {
                project.elsewhere.insert(package.name, directory.to_owned());
            }
        }
        if project.plugins.is_empty() {
            return Err(BuildError::NoPlugin(options.project.clone()));
        }
        Ok(project)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.plugins.keys().map(String::as_str).collect()
    }

    /// Compile every plugin to a module. The name of the package, and the file.
    pub(super) fn compile(
        &self,
        tools: &Tools,
        toolchain: &Toolchain,
        options: &BuildOptions,
        progress: &mut dyn Progress,
    ) -> Result<Vec<(String, PathBuf)>, BuildError> {
        let mut command = tools.command("cargo");
        toolchain.apply(&mut command);
        command
            .args(["build", "--release", "--target", TARGET])
            .args(["--message-format", "json-render-diagnostics"])
            .args(["--color", if options.color { "always" } else { "never" }])
            .args(options.locked.then_some("--locked"))
            // Apart from native builds of the same project: the compiler may be another one.
            .arg("--target-dir")
            .arg(self.target.join("signalbox"))
            .args(self.plugins.keys().flat_map(|name| ["--package", name]))
            // Above any configuration file's flags, which are for other targets.
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(options))
            // Empty switches a configured wrapper off.
            .env("RUSTC_WRAPPER", "")
            .current_dir(&options.project);
        let ended = run(&mut command, |line| progress.detail(line)).map_err(not_run("cargo"))?;
        if !ended.status.success() {
            return Err(BuildError::Compile { output: ended.stderr });
        }
        let artifacts: Vec<Artifact> =
            ended.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        self.plugins
            .iter()
            .map(|(name, id)| {
                let module = artifacts
                    .iter()
                    .filter(|artifact| artifact.package_id == *id)
                    .flat_map(|artifact| &artifact.filenames)
                    .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
                let missing = || BuildError::NoModule { package: name.clone() };
                Ok((name.clone(), module.cloned().ok_or_else(missing)?))
            })
            .collect()
    }

    /// Flags that keep this machine's paths out of the modules' panic messages, and set memory aside
    /// for the SDK's allocator.
    fn flags(&self, options: &BuildOptions) -> OsString {
        let mut places: Vec<(&Path, String)> = vec![(&self.root, "/plugin".to_owned())];
        places
            .extend(self.elsewhere.iter().map(|(name, path)| (path.as_path(), format!("/{name}"))));
        let registry =
            options.environment.cargo_home.as_ref().map(|home| home.join("registry/src"));
        if let Some(registry) = &registry {
            places.push((registry, "/cargo".to_owned()));
        }
        let mut flags = OsString::from(format!("-Clink-arg=--initial-heap={INITIAL_HEAP}"));
        for (place, name) in places {
            // Cargo's separator between flags.
            flags.push("\x1f--remap-path-prefix=");
            flags.push(place);
            flags.push("=");
            flags.push(name);
        }
        flags
    }
}
