//! Plugins in Rust: cargo compiles each to a module, which becomes a component.
//!
//! Not the other languages' tools, and not where a component goes (`build`).

mod project;
#[cfg(test)]
mod tests;
mod toolchain;

use std::fs;

pub use toolchain::ToolchainError;

use super::encode::encode;
use super::process::Tools;
use super::{BuildError, BuildOptions, Component, Made, Progress, file};
use project::Project;

/// Build every plugin of a cargo project.
///
/// The same sources, `Cargo.lock` and compiler give the same bytes, in any directory. (Cargo makes one
/// exception: the place of a path dependency outside the workspace goes into the order of functions.)
pub(super) fn make(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<Made, BuildError> {
    let project = Project::read(tools, options)?;
    let toolchain = toolchain::find(tools, &options.environment, &options.project, progress)?;
    let with = toolchain.origin().to_string();
    progress.step(&format!("compiling {} with {with}", project.names().join(", ")));
    let mut components = Vec::new();
    for (name, module) in project.compile(tools, &toolchain, options, progress)? {
        let bytes = fs::read(&module).map_err(file("read", &module))?;
        match encode(&bytes) {
            Ok(bytes) => components.push(Component { name, bytes }),
            Err(source) => return Err(BuildError::Encode { package: name, source }),
        }
    }
    Ok(Made { components, with, out: project.target.join("plugins") })
}
