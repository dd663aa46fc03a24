//! The Python tools of a build: componentize-py in a private environment, and the project's packages.
//!
//! Nothing is fetched but by `--install`, and then with pip from the caller's own index.

use std::fs;
use std::path::{Path, PathBuf};

use super::project::Project;
use crate::cli::build::process::{Ended, Tools, run};
use crate::cli::build::{BuildError, BuildOptions, Progress, file, not_run};

/// Of componentize-py. Pinned: its output depends on it, and the SDK on its bindings.
pub(super) const VERSION: &str = "0.25.1";

/// The Python inside a component of that version: packages are chosen for it.
const INSIDE: &str = "3.14";

/// In a directory of packages, what they were chosen by.
const STAMP: &str = "signalbox-packages.txt";

const PIP: [&str; 5] = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install"];

/// The Python that has componentize-py.
pub(super) fn find(
    tools: &Tools,
    options: &BuildOptions,
    progress: &mut dyn Progress,
) -> Result<PathBuf, BuildError> {
    let home =
        options.environment.cache.join(format!("signalbox/python/componentize-py-{VERSION}"));
    let python = home.join("bin/python3");
    if python.exists() {
        return Ok(python);
    }
    if !options.install {
        return Err(BuildError::Missing {
            tool: "componentize-py",
            needed: "makes components of Python",
            remedy: format!(
                "`signalbox build --install` gets version {VERSION} from PyPI into {}",
                home.display()
            ),
        });
    }
    install(tools, &home, progress)?;
    Ok(python)
}

/// Make an environment aside and move it into place: another build sees it whole or not at all.
fn install(tools: &Tools, home: &Path, progress: &mut dyn Progress) -> Result<(), BuildError> {
    progress.step(&format!("getting componentize-py {VERSION} from PyPI"));
    let aside = home.with_extension(format!("unfinished-{}", std::process::id()));
    let mut command = tools.command("python3");
    command.args(["-m", "venv", "--clear"]).arg(&aside);
    let missing = |cause: &str| BuildError::Missing {
        tool: "python3",
        needed: "runs componentize-py",
        remedy: format!(
            "install Python 3.11 or newer with its module `venv` (Debian: `apt install python3-venv`){cause}"
        ),
    };
    let made = run(&mut command, |line| progress.detail(line)).map_err(|_| missing(""))?;
    if !made.status.success() {
        return Err(missing(&format!("; it said:\n{}{}", made.stdout, made.stderr)));
    }
    let mut command = clean(tools, &aside.join("bin/python3"));
    command.args(PIP).args(["--only-binary=:all:", &format!("componentize-py=={VERSION}")]);
    let got = run(&mut command, |line| progress.detail(line)).map_err(not_run("pip"))?;
    let done = if got.status.success() { put(&aside, home) } else { Err(refused(&got, "")) };
    // Of no use to anybody, and a failure to remove it is none of the build.
    let _ = fs::remove_dir_all(&aside);
    done
}

fn put(aside: &Path, home: &Path) -> Result<(), BuildError> {
    match fs::rename(aside, home) {
        // Another build was faster.
        Err(_) if home.join("bin/python3").exists() => Ok(()),
        other => other.map_err(file("create", home)),
    }
}

/// Have the packages that the project depends on in `directory`.
pub(super) fn packages(
    tools: &Tools,
    options: &BuildOptions,
    python: &Path,
    project: &Project,
    directory: &Path,
    progress: &mut dyn Progress,
) -> Result<(), BuildError> {
    let wanted = format!("Python {INSIDE}\n{}\n", project.dependencies.join("\n"));
    let stamp = directory.join(STAMP);
    let held = fs::read_to_string(&stamp).ok();
    if held.as_deref() == Some(&wanted) || (held.is_none() && project.dependencies.is_empty()) {
        return Ok(());
    }
    if !options.install && !project.dependencies.is_empty() {
        return Err(BuildError::Missing {
            tool: "a package",
            needed: "pyproject.toml depends on",
            remedy: format!(
                "`signalbox build --install` gets {} from PyPI into {}",
                project.dependencies.join(", "),
                directory.display()
            ),
        });
    }
    fs::remove_dir_all(directory).map_err(file("remove", directory))?;
    fs::create_dir_all(directory).map_err(file("create", directory))?;
    if !project.dependencies.is_empty() {
        progress.step(&format!("getting {} from PyPI", project.dependencies.join(", ")));
        let mut command = clean(tools, python);
        command.args(PIP).args(["--only-binary=:all:", "--platform", "any", "--abi", "none"]);
        command.args(["--implementation", "py", "--python-version", INSIDE, "--target"]);
        command.arg(directory).args(&project.dependencies);
        let got = run(&mut command, |line| progress.detail(line)).map_err(not_run("pip"))?;
        if !got.status.success() {
            return Err(refused(
                &got,
                "\nOnly packages of pure Python, with a wheel for any platform, work in a component",
            ));
        }
    }
    fs::write(&stamp, wanted).map_err(file("write", &stamp))
}

/// A Python that sees its own packages alone.
fn clean(tools: &Tools, python: &Path) -> std::process::Command {
    let mut command = tools.command(python);
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME").env_remove("VIRTUAL_ENV");
    command
}

fn refused(ended: &Ended, remark: &str) -> BuildError {
    BuildError::Compile { output: format!("{}{}{remark}", ended.stdout, ended.stderr) }
}
