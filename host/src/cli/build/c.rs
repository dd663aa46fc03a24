//! Plugins in C: a clang for WebAssembly compiles the project's files and the SDK's to one module.
//!
//! Not the SDK (`sdk/c`) and not the component (`module`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::module::encode_with_contract;
use super::pip::Tool;
use super::process::{Tools, run};
use super::{BuildError, BuildOptions, Component, EncodeError, Made, Progress, file, not_run};

/// Clang with a C library for WASI, as Zig's makers pack it.
const ZIG: Tool =
    Tool { package: "ziglang", version: "0.15.2", program: "ziglang/zig", size: "90 MB" };

/// The names that a clang may have. The newest that can link for WASI is taken.
const CLANGS: [&str; 6] = ["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18"];

/// How both are called. A receiver that forgets to return is an error, not a surprise.
const FLAGS: [&str; 11] = [
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-std=gnu11",
    "-Os",
    "-Wall",
    "-Wextra",
    "-Wno-missing-field-initializers",
    "-Werror=return-type",
    "-Werror=implicit-function-declaration",
    "-g0",
    "-Wl,-z,stack-size=262144",
];

/// What Zig does anyway and knows no word for: a stack that overflows traps at address 0 instead of
/// running into data; and a C library without its debugging information. Functions keep their names,
/// for a trap's backtrace.
const CLANG_FLAGS: [&str; 2] = ["-Wl,--stack-first", "-Wl,--strip-debug"];

/// A program that compiles, with the arguments it always takes.
struct Compiler {
    program: PathBuf,
    zig: bool,
}

impl Compiler {
    fn command(&self, tools: &Tools, options: &BuildOptions) -> Command {
        let mut command = tools.command(&self.program);
        if self.zig {
            let cache = options.environment.cache.join("signalbox/zig-cache");
            command.arg("cc").env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", cache);
        }
        command.args(FLAGS).args(CLANG_FLAGS.iter().filter(|_| !self.zig));
        command
    }
}

/// Build the plugin of a project. The same sources and compiler give the same bytes, in any
/// directory.
pub(super) fn make(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<Made, BuildError> {
    let project = options.project.canonicalize().map_err(file("read", &options.project))?;
    let name = project.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sdk = sdk(&project)?;
    let out = project.join("build");
    fs::create_dir_all(&out).map_err(file("create", &out))?;
    let (compiler, with) = find(tools, options, &out, progress)?;

    progress.step(&format!("compiling {name} with {with}"));
    let module = out.join(format!("{name}.module"));
    let mut command = compiler.command(tools, options);
    command.arg("-I").arg(sdk.join("include")).arg("-I.").arg("-o").arg(&module);
    // This machine's paths stay out of the component.
    command.arg(format!("-ffile-prefix-map={}=sdk", sdk.display()));
    command.args(own_files(&project)?);
    for part in ["src", "wasm"] {
        command.args(c_files(&sdk.join(part))?);
    }
    command.current_dir(&project);
    let ended = run(&mut command, |line| progress.detail(line))
        .map_err(not_run(&compiler.program.to_string_lossy()))?;
    if !ended.status.success() {
        return Err(BuildError::Compile { output: explained(ended.stderr) });
    }
    // Warnings: the project's author is to see them.
    for line in ended.stderr.lines() {
        progress.step(line);
    }
    let bytes = fs::read(&module).map_err(file("read", &module))?;
    let bytes = encode_with_contract(&bytes).map_err(not_a_plugin(&name))?;
    Ok(Made { components: vec![Component { name, bytes }], with, out })
}

fn not_a_plugin(name: &str) -> impl FnOnce(EncodeError) -> BuildError {
    let package = name.to_owned();
    move |source| BuildError::Encode { package, source }
}

/// Where the SDK is: in the project, or in this repository above it.
fn sdk(project: &Path) -> Result<PathBuf, BuildError> {
    let own = project.join("sdk");
    let above = project.ancestors().skip(1).map(|directory| directory.join("sdk/c"));
    std::iter::once(own)
        .chain(above)
        .find(|directory| directory.join("include/signalbox.h").is_file())
        .ok_or_else(|| BuildError::Project {
            file: project.join("sdk"),
            cause: "there is no SDK here; a new project has it: take `sdk` from one that \
                    `signalbox new NAME --lang c` makes"
                .to_owned(),
        })
}

/// The plugin's own files: those in the project's directory and in its `src`, without its tests,
/// whose names end in `_test.c` or begin with `test_`.
fn own_files(project: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = c_files(project)?;
    let below = project.join("src");
    if below.is_dir() {
        files.extend(c_files(&below)?);
    }
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.ends_with("_test.c") && !name.starts_with("test_")
    });
    // Below the project, so that its own path is nowhere in the component.
    Ok(files.iter().map(|path| path.strip_prefix(project).unwrap_or(path).to_owned()).collect())
}

/// In the order of their names: the order of a directory is no order.
fn c_files(directory: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let entries: Result<Vec<_>, io::Error> = directory.read_dir().and_then(Iterator::collect);
    let entries = entries.map_err(file("read", directory))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}

/// What the linker says of a plugin that is none, in the SDK's words.
fn explained(mut output: String) -> String {
    if output.contains("undefined symbol: signalbox_plugin") {
        output.push_str(
            "\nthe plugin is not declared: define `const sb_plugin signalbox_plugin = { ... }` in \
             one of its files",
        );
    }
    output
}

/// A compiler, and its name for people.
fn find(
    tools: &Tools,
    options: &BuildOptions,
    scratch: &Path,
    progress: &mut dyn Progress,
) -> Result<(Compiler, String), BuildError> {
    for name in CLANGS {
        let compiler = Compiler { program: name.into(), zig: false };
        if links(&compiler, tools, options, scratch)? {
            return Ok((compiler, format!("the installed {name}")));
        }
    }
    let installed = Compiler { program: "zig".into(), zig: true };
    if let Ok(ended) = run(tools.command("zig").arg("version"), |_| {})
        && ended.status.success()
    {
        return Ok((installed, format!("the installed Zig {}", ended.stdout.trim())));
    }
    let program = match ZIG.installed(&options.environment) {
        Some(program) => program,
        None if options.install => ZIG.install(tools, &options.environment, progress)?,
        None => {
            return Err(BuildError::Missing {
                tool: "a clang with WASI's C library",
                needed: "compiles C to WebAssembly",
                remedy:
                    "`signalbox build --install` gets Zig's from PyPI (90 MB, into the cache); \
                         or install your system's (Debian: `apt-get install clang-19 lld-19 \
                         wasi-libc libclang-rt-19-dev-wasm32`), or Zig (https://ziglang.org)"
                        .to_owned(),
            });
        }
    };
    Ok((Compiler { program, zig: true }, format!("Zig {}'s clang", ZIG.version)))
}

/// Whether the compiler is there, and has a linker and a C library for WASI: many have not.
fn links(
    compiler: &Compiler,
    tools: &Tools,
    options: &BuildOptions,
    scratch: &Path,
) -> Result<bool, BuildError> {
    let (source, module) = (scratch.join("trial"), scratch.join("trial.module"));
    fs::write(&source, "#include <stdio.h>\nint f(char *to) { return sprintf(to, \"%d\", 1); }\n")
        .map_err(file("write", &source))?;
    let mut command = compiler.command(tools, options);
    command.args(["-x", "c"]).arg(&source).arg("-o").arg(&module);
    let linked = run(&mut command, |_| {}).is_ok_and(|ended| ended.status.success());
    for left in [source, module] {
        // Nothing hangs on it.
        let _ = fs::remove_file(left);
    }
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_files_are_its_own_without_its_tests() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src")).unwrap();
        fs::create_dir_all(dir.path().join("sdk/src")).unwrap();
        for name in ["b.c", "a.c", "a_test.c", "test_b.c", "a.h", "src/z.c", "sdk/src/json.c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let files = own_files(dir.path()).unwrap();
        assert_eq!(files, ["a.c", "b.c", "src/z.c"].map(PathBuf::from));
    }

    #[test]
    fn the_sdk_is_the_projects_or_the_repositorys() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("plugins/mine");
        fs::create_dir_all(&project).unwrap();
        let error = sdk(&project).unwrap_err().to_string();
        assert!(error.contains("signalbox new"), "{error}");
        for place in [dir.path().join("sdk/c"), project.join("sdk")] {
            fs::create_dir_all(place.join("include")).unwrap();
            fs::write(place.join("include/signalbox.h"), "").unwrap();
            assert_eq!(sdk(&project).unwrap(), place);
        }
    }

    #[test]
    fn a_plugin_that_is_not_declared_is_told_so() {
        let said = explained("wasm-ld: error: undefined symbol: signalbox_plugin".to_owned());
        assert!(said.contains("const sb_plugin signalbox_plugin"), "{said}");
    }
}
