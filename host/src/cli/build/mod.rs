//! From a plugin project to components: see its language, find that language's tools, build, put the
//! components where they belong.
//!
//! Not a command of the command line: `build` and `demo` call it and say what to show. Each language
//! is a module of its own that answers with bytes ([`Made`]) and writes no component itself.

mod c;
mod encode;
mod go;
mod js;
mod language;
mod module;
mod pip;
mod process;
mod python;
mod rust;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use encode::{EncodeError, encode};
pub use language::Language;
pub use rust::ToolchainError;

use process::Tools;

/// What to build, and where.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The project's directory. In Rust that of a package, which is built alone, or of a workspace,
    /// of which every default member that is a plugin is built: a library with crate type `cdylib`.
    pub project: PathBuf,
    /// Its language; seen from its files by default.
    pub language: Option<Language>,
    /// Where the components go, created when absent. Default: `plugins` in cargo's target directory,
    /// `build` in the project's of other languages.
    pub out: Option<PathBuf>,
    /// Refuse to change the project's lock file.
    pub locked: bool,
    /// Get what is missing of the language's tools, where a package registry has it.
    pub install: bool,
    /// Whether the tools' own output is coloured.
    pub color: bool,
    /// Where tools are found and kept.
    pub environment: BuildEnvironment,
}

/// What a build takes from its surroundings; the caller reads it.
#[derive(Clone, Debug)]
pub struct BuildEnvironment {
    /// `PATH`: where tools are looked for.
    pub path: OsString,
    /// `CARGO_HOME`, or `.cargo` in the home directory. Its path is kept out of the components.
    pub cargo_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, or `.cache` in the home directory: tools that have to be fetched are kept
    /// in `signalbox` below it.
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
    /// The language they are written in.
    pub language: Language,
    /// What built them, for people: `the installed Rust`.
    pub with: String,
}

/// One component file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltComponent {
    /// The package.
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
    /// The directory holds no project of a known language.
    #[error(
        "{} is no plugin project: it has none of {}; name the directory that has, or begin one with \
         `signalbox new`", .0.display(), language::marks()
    )]
    NoProject(PathBuf),
    /// The directory holds projects of several languages.
    #[error("{} has {}: say which is the plugin's with --lang", directory.display(), found.join(" and "))]
    Ambiguous {
        /// The directory.
        directory: PathBuf,
        /// The project files.
        found: Vec<&'static str>,
    },
    /// A tool of the language is not there.
    #[error("{tool} is missing, which {needed}: {remedy}")]
    Missing {
        /// What.
        tool: &'static str,
        /// What for: `compiles C to WebAssembly`.
        needed: &'static str,
        /// How to get it.
        remedy: String,
    },
    /// The project is not as its language's tools or this build want it.
    #[error("{}: {cause}", file.display())]
    Project {
        /// The file or directory.
        file: PathBuf,
        /// What is wrong, and what to do.
        cause: String,
    },
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
    /// The project does not compile. The text is the tool's, whole.
    #[error("{output}\nthe plugin does not compile: the output above is the tool's own")]
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

/// What a language's tools made of a project.
#[derive(Debug)]
struct Made {
    components: Vec<Component>,
    /// See [`Built::with`].
    with: String,
    /// Where they go by default.
    out: PathBuf,
}

/// A component that is not written yet.
#[derive(Debug)]
struct Component {
    /// The package.
    name: String,
    bytes: Vec<u8>,
}

/// Build every plugin of a project into a component. Blocking: it runs the language's tools.
///
/// # Errors
/// [`BuildError`]. Nothing is written unless every plugin of the project became a component.
pub fn build(options: &BuildOptions, progress: &mut dyn Progress) -> Result<Built, BuildError> {
    let language = match options.language {
        Some(language) => language,
        None => language::detect(&options.project)?,
    };
    let tools = Tools::new(&options.environment);
    let Made { components: made, with, out } = match language {
        Language::Rust => rust::make(&tools, options, progress)?,
        Language::JavaScript | Language::TypeScript => js::make(&tools, options, progress)?,
        Language::Go => go::make(&tools, options, progress)?,
        Language::C => c::make(&tools, options, progress)?,
        Language::Python => python::make(&tools, options, progress)?,
    };
    let out = options.out.clone().unwrap_or(out);
    fs::create_dir_all(&out).map_err(file("create", &out))?;
    let mut components = Vec::with_capacity(made.len());
    for Component { name: package, bytes } in made {
        let path = out.join(format!("{package}.wasm"));
        let changed = put(&path, &bytes).map_err(file("write", &path))?;
        let size = bytes.len() as u64;
        progress.step(&format!("{} ({} KB)", path.display(), size.div_ceil(1000)));
        components.push(BuiltComponent { package, path, size, changed });
    }
    Ok(Built { components, language, with })
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

/// What a program that does not start is told as.
fn not_run(program: &str) -> impl FnOnce(io::Error) -> BuildError {
    move |source| BuildError::Run { program: program.to_owned(), source }
}

#[cfg(test)]
mod tests;
