//! `signalbox new`: a plugin project that builds, tests and has a fixture.
//!
//! Not the building (`cli::build`) and not the texts: [`templates`] has the languages' projects and
//! [`sdk`] what they are written against. A project holds its SDK, so it needs this repository for
//! nothing and goes with the host that made it.

mod cargo;
mod sdk;
mod templates;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::build::Language;
use super::context::Context;
use crate::domain::plugin::PluginName;
use templates::Template;

/// A text that a project begins with.
#[derive(Clone, Copy, Debug)]
struct File {
    /// Below the project's directory; a hidden file's name begins with `dot-`, so that no tool of
    /// this repository takes it for its own.
    path: &'static str,
    /// `{{name}}` stands for the plugin's name.
    text: &'static str,
}

/// These files below a directory of this repository, by their paths there.
macro_rules! files {
    ($root:literal: $($path:literal),* $(,)?) => {
        &[$(crate::cli::new::File { path: $path, text: include_str!(concat!($root, $path)) }),*]
    };
}
use files;

/// Begin a plugin: a project that builds, tests and has a fixture event
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox new charge-counter
  signalbox new charge-counter --lang python
  signalbox new charge-counter --lang ts --dir services/charge-counter

The project has the SDK of this version in its directory `sdk`, so it builds without this repository.")]
pub(crate) struct Args {
    /// The plugin's name: lower-case letters, digits and `-`. Its state and settings go by it
    #[arg(value_name = "NAME")]
    name: String,
    /// The language it is written in
    #[arg(long, value_name = "LANG", default_value = "rust")]
    lang: Language,
    /// Where to put it, empty or not there yet [default: NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let name: PluginName =
        args.name.parse().with_context(|| format!("{:?} cannot be a plugin's name", args.name))?;
    let template = templates::of(args.lang);
    let dir = args.dir.unwrap_or_else(|| PathBuf::from(name.as_str()));
    must_be_empty(&dir)?;
    write(&dir, &name, args.lang, template)?;
    let shown = dir.display();
    writeln!(cx.out, "{shown}")?;
    cx.say(format_args!(
        "{shown}: a plugin in {}. Next:\n  cd {shown}\n  {:<28}its tests, without WebAssembly\n  \
         {:<28}into {}\n  {:<28}on its fixture, in the real engine",
        args.lang,
        template.test,
        "signalbox build --install",
        template.built.replace("{{name}}", name.as_str()),
        "signalbox test",
    ));
    Ok(())
}

fn must_be_empty(dir: &Path) -> anyhow::Result<()> {
    let held = match fs::read_dir(dir) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look into {}", dir.display()));
        }
    };
    if held > 0 {
        bail!("{} is not empty: name another directory with --dir", dir.display());
    }
    Ok(())
}

fn write(dir: &Path, name: &PluginName, lang: Language, template: &Template) -> anyhow::Result<()> {
    let own = template.files.iter().map(|file| (PathBuf::from(file.path), file.text.to_owned()));
    let shared =
        templates::SHARED.iter().map(|file| (PathBuf::from(file.path), file.text.to_owned()));
    for (path, text) in own.chain(shared).chain(sdk::of(lang)?) {
        let path = dir.join(shown_name(&path));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, text.replace("{{name}}", name.as_str()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// `dot-gitignore` is `.gitignore`.
fn shown_name(path: &Path) -> PathBuf {
    let hidden = path.file_name().and_then(|name| name.to_str()?.strip_prefix("dot-"));
    hidden.map_or_else(|| path.to_owned(), |name| path.with_file_name(format!(".{name}")))
}
