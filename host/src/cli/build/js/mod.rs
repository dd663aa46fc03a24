//! A project in JavaScript or TypeScript to a component: npm's packages, types, one bundle, and the
//! engine that runs it.
//!
//! Not the SDK (`sdk/js`), which is bundled like any other package. The bytes differ from build to
//! build: the engines keep the seeds of their hash tables in the component.

mod package;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::PathBuf;

use self::package::{Engine, Package};
use super::process::{Ended, Tools, run};
use super::{BuildError, BuildOptions, Component, Made, Progress, file, not_run};
use crate::plugin::contract;

/// Where the component goes, in the project.
const OUT: &str = "build";

/// Where a build keeps what it makes on the way, in the project.
const WORK: &str = "build/bundle";

/// What Node.js is for.
const NEEDED: &str = "runs the tools that bundle JavaScript and make a component of it";

/// How esbuild bundles: for no platform, one module, whose only imports are the component's.
const BUNDLE: [&str; 8] = [
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    "--main-fields=module,main",
    "--target=es2023",
    "--external:signalbox:*",
    "--external:wasi:*",
    "--log-level=warning",
];

/// The oldest Node.js that the packages run on.
const OLDEST_NODE: u32 = 18;

const ENTRY: &str = include_str!("entry.mjs");
const GUEST_WIT: &str = include_str!("guest.wit");
const RANDOM_WIT: &str = include_str!("random.wit");

/// Build the project's plugin.
pub(super) fn make(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<Made, BuildError> {
    let package = Package::read(&options.project)?;
    has_node(tools)?;
    ready(tools, &package, options, progress)?;
    let job = Job { tools, package: &package, progress };
    let bytes = job.compile()?;
    let (program, ..) = package.engine.package();
    Ok(Made {
        with: format!("esbuild and {program}"),
        out: package.dir.join(OUT),
        components: vec![Component { name: package.name, bytes }],
    })
}

/// Whether there is a Node.js that is new enough.
fn has_node(tools: &Tools) -> Result<(), BuildError> {
    let ended = run(tools.command("node").arg("--version"), |_| {}).map_err(no_node("node"))?;
    let version = ended.stdout.trim().trim_start_matches('v');
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST_NODE) {
        return Ok(());
    }
    let remedy = format!("this one is {version}; install one from https://nodejs.org");
    Err(BuildError::Missing { tool: "Node.js 18 or newer", needed: NEEDED, remedy })
}

fn no_node(tool: &'static str) -> impl FnOnce(io::Error) -> BuildError {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => BuildError::Missing {
            tool,
            needed: NEEDED,
            remedy: "install Node.js 18 or newer with npm, from https://nodejs.org or by \
                     `apt-get install nodejs npm`"
                .to_owned(),
        },
        _ => not_run(tool)(source),
    }
}

/// See to it that npm's packages are there.
fn ready(
    tools: &Tools,
    package: &Package,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<(), BuildError> {
    let missing = package.missing();
    let manifest = || package.dir.join("package.json");
    let undeclared: Vec<_> = missing.iter().filter(|need| !package.declares(need.name)).collect();
    if !undeclared.is_empty() {
        let lines = undeclared.iter().map(|need| {
            format!("\n  in {:?}: \"{}\": \"{}\"", need.section, need.name, need.version)
        });
        let lines: String = lines.collect();
        let cause = format!("a build needs packages that it does not list; add{lines}");
        return Err(BuildError::Project { file: manifest(), cause });
    }
    if options.install && (!missing.is_empty() || package.is_stale()) {
        progress.step("installing npm's packages");
        let mut npm = tools.command("npm");
        npm.arg(if options.locked { "ci" } else { "install" })
            .args(["--no-audit", "--no-fund"])
            .current_dir(&package.dir);
        let ended = run(&mut npm, |line| progress.detail(line)).map_err(no_node("npm"))?;
        if !ended.status.success() {
            let cause = format!("npm does not install its packages:\n{}", said(&ended));
            return Err(BuildError::Project { file: manifest(), cause });
        }
    }
    let Some(need) = package.missing().into_iter().next() else { return Ok(()) };
    let dir = package.dir.display();
    let remedy = format!("run `signalbox build --install`, or `npm install` in {dir}");
    Err(BuildError::Missing { tool: need.name, needed: need.purpose, remedy })
}

/// One build, its packages at hand.
struct Job<'a> {
    tools: &'a Tools,
    package: &'a Package,
    progress: &'a mut dyn Progress,
}

impl Job<'_> {
    fn compile(mut self) -> Result<Vec<u8>, BuildError> {
        let Package { name, engine, .. } = self.package;
        if self.package.is_typed() {
            self.progress.step("checking types");
            self.run("tsc", &["-p", "."])?;
        }
        self.prepare()?;
        self.progress.step(&format!("bundling {}", self.package.entry.display()));
        // Its name and lines are those that stacks in the log show.
        let bundle = format!("{WORK}/{name}.mjs");
        let entry = format!("{WORK}/entry.mjs");
        let outfile = format!("--outfile={bundle}");
        let mut arguments = vec![entry.as_str(), outfile.as_str()];
        arguments.extend(BUNDLE);
        self.run("esbuild", &arguments)?;
        let (.., program) = engine.package();
        self.progress.step(&format!("making the component with {program}"));
        let (wit, made) = (format!("{WORK}/wit"), format!("{WORK}/{name}.wasm"));
        let mut arguments = match engine {
            Engine::QuickJs => vec!["--sync", "-n", "guest", "--js", &bundle],
            // Without what it would import and the host does not offer.
            Engine::StarlingMonkey => vec![&bundle, "-n", "plugin", "-d", "http", "fetch-event"],
        };
        arguments.extend(["--wit", &wit, "-o", &made]);
        self.run(program, &arguments)?;
        let made = self.package.dir.join(made);
        fs::read(&made).map_err(file("read", &made))
    }

    /// Write what the tools read: the contract, and the module that exports it.
    fn prepare(&self) -> Result<(), BuildError> {
        let work = self.package.dir.join(WORK);
        let wit = work.join("wit");
        // Nothing of another engine or version may stay.
        match fs::remove_dir_all(&wit) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("write", &wit)(error));
            }
            _ => {}
        }
        let write = |path: PathBuf, text: &str| {
            let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
            parent.and_then(|()| fs::write(&path, text)).map_err(file("write", &path))
        };
        let random = match self.package.engine {
            Engine::QuickJs => {
                write(wit.join("guest.wit"), GUEST_WIT)?;
                write(wit.join("deps/wasi-random/random.wit"), RANDOM_WIT)?;
                let deps = wit.join("deps/signalbox-plugin");
                contract::write(&deps).map_err(file("write", &deps))?;
                "import * as random from \"wasi:random/random@0.2.0\";"
            }
            Engine::StarlingMonkey => {
                contract::write(&wit).map_err(file("write", &wit))?;
                "const random = undefined;"
            }
        };
        let plugin = format!("../../{}", self.package.entry.display());
        let entry = ENTRY.replace("{{random}}", random).replace("{{plugin}}", &plugin);
        write(work.join("entry.mjs"), &entry)
    }

    /// Run a program of an installed package in the project.
    fn run(&mut self, program: &'static str, arguments: &[&str]) -> Result<(), BuildError> {
        let mut command = self.tools.command(self.package.program(program));
        command.args(arguments).current_dir(&self.package.dir);
        let ended =
            run(&mut command, |line| self.progress.detail(line)).map_err(not_run(program))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(BuildError::Compile { output: said(&ended) })
    }
}

/// All that a program said; some tell their errors on standard output.
fn said(ended: &Ended) -> String {
    let said = [ended.stdout.trim(), ended.stderr.trim()];
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    said.join("\n")
}
