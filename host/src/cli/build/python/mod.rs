//! Plugins in Python: componentize-py runs the project's module once, and what it left in memory
//! becomes a component.
//!
//! Not the other languages' tools, and not where a component goes (`build`). Two builds of one project
//! differ by a few bytes: CPython's addresses and the seed of its hashes are part of the image.

mod network;
mod project;
#[cfg(test)]
mod tests;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{Tools, run};
use super::{BuildError, BuildOptions, Component, Made, Progress, file, not_run};
use crate::plugin::contract;
use project::Project;

/// The module that componentize-py loads: the plugin's own, then the component's exports over it.
/// No byte code is left beside the author's files.
const ENTRY: &str = "\
import sys

sys.dont_write_bytecode = True

import {module}
from signalbox._component import Handler, prepare

prepare()
";

/// Its name: one that no module of the project has.
const ENTRY_MODULE: &str = "signalbox_entry";

/// Starts componentize-py whose directory was moved: its own script names the one it was installed in.
const START: &str = "import sys; from componentize_py import script; sys.exit(script())";

/// Build the plugin of a Python project.
pub(super) fn make(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<Made, BuildError> {
    let project = Project::read(&options.project)?;
    let python = tools::find(tools, options, progress)?;
    let private = Private::prepare(&project)?;
    tools::packages(tools, options, &python, &project, &private.packages, progress)?;
    let with = format!("componentize-py {}", tools::VERSION);
    progress.step(&format!("loading {} with {with}", project.name));

    let path: Vec<&Path> = project.path.iter().map(PathBuf::as_path).collect();
    let component = private.root.join("component");
    let mut command = tools.command(&python);
    // It looks for packages where the caller's Python has them; here are the project's, and no others.
    command
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .env("VIRTUAL_ENV", &private.environment);
    command.args(["-c", START, "--quiet", "--world", "plugin", "--wit-path"]).arg(&private.wit);
    command.arg("componentize");
    for directory in path.iter().chain([&private.entry.as_path()]) {
        command.arg("--python-path").arg(directory);
    }
    command.arg(ENTRY_MODULE).arg("--output").arg(&component);
    let ended = run(&mut command, |line| progress.detail(line)).map_err(not_run("python3"))?;
    if !ended.status.success() {
        return Err(BuildError::Compile { output: told(&ended.stderr, &path) });
    }
    let bytes = fs::read(&component).map_err(file("read", &component))?;
    // The one that is kept is the finished one.
    let _ = fs::remove_file(&component);
    let bytes = network::without(&bytes).map_err(|cause| BuildError::Project {
        file: options.project.clone(),
        cause: format!("what {with} made of it cannot be used: {cause:#}"),
    })?;
    let components = vec![Component { name: project.name, bytes }];
    Ok(Made { components, with, out: options.project.join("build") })
}

/// What a build keeps for itself below the project's `build/python`.
struct Private {
    root: PathBuf,
    wit: PathBuf,
    entry: PathBuf,
    /// What componentize-py takes for a virtual environment.
    environment: PathBuf,
    /// The packages in it.
    packages: PathBuf,
}

impl Private {
    fn prepare(project: &Project) -> Result<Self, BuildError> {
        let root = project.root.join("build/python");
        let (wit, entry) = (root.join("wit"), root.join("entry"));
        let environment = root.join("environment");
        let packages = environment.join("lib/site-packages");
        for directory in [&wit, &entry, &packages] {
            fs::create_dir_all(directory).map_err(file("create", directory))?;
        }
        contract::write(&wit).map_err(file("write", &wit))?;
        let module = entry.join(ENTRY_MODULE).with_extension("py");
        fs::write(&module, ENTRY.replace("{module}", &project.module))
            .map_err(file("write", &module))?;
        Ok(Self { root, wit, entry, environment, packages })
    }
}

/// What Python said, without the tool's own stack and with the author's paths: inside, the directories
/// of the path are `/0`, `/1` and so on.
fn told(output: &str, path: &[&Path]) -> String {
    let start = output.find("AssertionError: ").map_or(0, |at| at + "AssertionError: ".len());
    let output = output.get(start..).unwrap_or(output);
    let end = output.find("\n\nCaused by:").unwrap_or(output.len());
    let mut told = output.get(..end).unwrap_or(output).trim_end().to_owned();
    for (number, directory) in path.iter().enumerate() {
        let outside = format!("File \"{}/", directory.display());
        told = told.replace(&format!("File \"/{number}/"), &outside);
    }
    told
}
