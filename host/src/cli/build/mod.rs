//! From a Rust plugin project to components: find a compiler, build, make components of the
//! modules, put them where they belong.
//!
//! Not a command of the command line: `build` and `demo` call it and say what to show.

mod encode;
mod process;
mod project;
mod toolchain;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use encode::{EncodeError, encode};
pub use toolchain::{Origin, ToolchainError};

use process::Tools;
use project::Project;

/// What to build, and where.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Directory of a package, which is built alone, or of a workspace, of which every default
    /// member that is a plugin is built: a library with crate type `cdylib`.
    pub project: PathBuf,
    /// Where the components go, created when absent. Default: `plugins` in the project's target
    /// directory.
    pub out: Option<PathBuf>,
    /// Refuse to change the project's `Cargo.lock`.
    pub locked: bool,
    /// Whether cargo's own output is coloured.
    pub color: bool,
    /// Where tools are found and kept.
    pub environment: BuildEnvironment,
}

/// What a build takes from its surroundings; the caller reads it.
#[derive(Clone, Debug)]
pub struct BuildEnvironment {
    /// `PATH`: where `cargo`, `rustc`, `rustup` and Debian's tools are looked for.
    pub path: OsString,
    /// `CARGO_HOME`, or `.cargo` in the home directory. Its path is kept out of the components.
    pub cargo_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, or `.cache` in the home directory: a compiler that has to be fetched is
    /// kept in `signalbox/wasm-toolchain` below it.
    pub cache: PathBuf,
    /// Whether `rustup target add` may be run, where nothing else serves. It downloads.
    pub rustup: bool,
}

/// Hears how a build goes on.
pub trait Progress {
    /// A step begins. Worth a line of its own.
    fn step(&mut self, what: &str);
    /// A line of a tool's output. Worth showing while it lasts: a failure repeats it whole.
    fn detail(&mut self, line: &str);
}

/// What was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The components, in the order of the packages' names.
    pub components: Vec<BuiltComponent>,
    /// Which compiler built them.
    pub toolchain: Origin,
}

/// One component file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltComponent {
    /// The cargo package.
    pub package: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the file was written. One that held these bytes already is left alone, so that a
    /// running host does not load it again.
    pub changed: bool,
}

/// Why a project was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The directory holds no cargo project.
    #[error("{} has no Cargo.toml: name the directory of a plugin's package, or of a workspace of them", .0.display())]
    NoProject(PathBuf),
    /// No package in it is a plugin.
    #[error("no package in {} is a plugin: add `[lib]` and `crate-type = [\"cdylib\"]` to its Cargo.toml", .0.display())]
    NoPlugin(PathBuf),
    /// Cargo refused the project. The text is cargo's.
    #[error("cargo cannot read the project {}:\n{output}", project.display())]
    Manifest {
        /// The directory.
        project: PathBuf,
        /// What cargo said.
        output: String,
    },
    /// There is no compiler for the target.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The project does not compile. The text is cargo's, whole.
    #[error("{output}\nthe plugin does not compile: cargo's output is above")]
    Compile {
        /// What cargo said.
        output: String,
    },
    /// A program could not be started or followed.
    #[error("cannot run `{program}`")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Cargo ended well and said nothing of a module.
    #[error(
        "cargo built {package} and named no .wasm file; `cargo --version` must be 1.85 or newer"
    )]
    NoModule {
        /// The package.
        package: String,
    },
    /// The module is no plugin.
    #[error("{package} compiles, and is no plugin")]
    Encode {
        /// The package.
        package: String,
        /// Why.
        source: EncodeError,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// `read`, `write` or `create`.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Build every plugin of a project into a component. Blocking: it runs cargo.
///
/// The same sources, `Cargo.lock` and compiler give the same bytes, in any directory. (Cargo makes one
/// exception: the place of a path dependency outside the workspace goes into the order of functions.)
///
/// # Errors
/// [`BuildError`]. Nothing is written unless every plugin of the project became a component.
pub fn build(options: &BuildOptions, progress: &mut dyn Progress) -> Result<Built, BuildError> {
    if !options.project.join("Cargo.toml").is_file() {
        return Err(BuildError::NoProject(options.project.clone()));
    }
    let tools = Tools::new(&options.environment);
    let project = Project::read(&tools, options)?;
    let toolchain = toolchain::find(&tools, &options.environment, &options.project, progress)?;
    progress.step(&format!("compiling {} with {}", project.names().join(", "), toolchain.origin()));
    let modules = project.compile(&tools, &toolchain, options, progress)?;
    let mut encoded = Vec::with_capacity(modules.len());
    for (package, module) in modules {
        let bytes = fs::read(&module).map_err(file("read", &module))?;
        match encode(&bytes) {
            Ok(component) => encoded.push((package, component)),
            Err(source) => return Err(BuildError::Encode { package, source }),
        }
    }
    let out = options.out.clone().unwrap_or_else(|| project.target.join("plugins"));
    fs::create_dir_all(&out).map_err(file("create", &out))?;
    let mut components = Vec::with_capacity(encoded.len());
    for (package, component) in encoded {
        let path = out.join(format!("{package}.wasm"));
        let changed = put(&path, &component).map_err(file("write", &path))?;
        let size = component.len() as u64;
        progress.step(&format!("{} ({} KB)", path.display(), size.div_ceil(1000)));
        components.push(BuiltComponent { package, path, size, changed });
    }
    Ok(Built { components, toolchain: toolchain.origin().clone() })
}

/// Replace the file in one step, unless it holds these bytes: a host that watches the directory
/// sees the old file or the new one, never half of either. Whether it was replaced.
fn put(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|held| held == bytes) {
        return Ok(false);
    }
    // Not `.wasm`: a host must not take it for a plugin.
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    let written = fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    written.map(|()| true)
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::File { what, path, source }
}

#[cfg(test)]
mod tests;
