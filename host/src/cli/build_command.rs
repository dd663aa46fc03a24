//! `signalbox build`: a plugin's source into a component.
//!
//! Not the building (`cli::build`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::json;

use super::build::{BuildEnvironment, BuildOptions, Built, Language, Progress, build};
use super::context::Context;
use super::output::{Column, Format, OutputArgs};
use super::table::Cell;

/// Build a plugin project, or every plugin of a Rust workspace, into components
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox build
  signalbox build example-plugins/charge-succeeded --out plugins
  signalbox build --install
  signalbox build --locked --no-rustup

The language is seen from the project's files: Cargo.toml, package.json, pyproject.toml, go.mod or *.c.
A tool that is missing is named with how to get it; --install gets it where a package registry has it.

For Rust, what the WebAssembly target needs is taken from the installed toolchain, else from Debian's
packages (fetched once and cached), else `rustup target add` is run; --no-rustup forbids the last.")]
pub(crate) struct Args {
    /// The project: the directory of its Cargo.toml, package.json, pyproject.toml, go.mod or *.c
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The project's language, where its files show several
    #[arg(long, value_name = "LANG")]
    lang: Option<Language>,
    /// Where the components go [default: `build` in the project; for Rust `target/plugins`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Get missing tools and packages, where a package registry has them
    #[arg(long)]
    install: bool,
    /// Refuse to change the project's lock file
    #[arg(long)]
    locked: bool,
    /// Never run rustup
    #[arg(long)]
    no_rustup: bool,
    #[command(flatten)]
    output: OutputArgs,
}

const COLUMNS: [Column; 4] = [
    Column { title: "PACKAGE", cell: |built, _| Cell::field(built, "package") },
    Column { title: "FILE", cell: |built, _| Cell::field(built, "file") },
    Column { title: "BYTES", cell: |built, _| Cell::field(built, "size") },
    Column { title: "CHANGED", cell: |built, _| Cell::field(built, "changed") },
];

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let options = BuildOptions {
        project: args.dir,
        language: args.lang,
        out: args.out,
        locked: args.locked,
        install: args.install,
        color: cx.colour && cx.terminal,
        environment: environment(cx, !args.no_rustup),
    };
    let built = build_plugins(options).await?;
    let built: Vec<_> = built
        .components
        .into_iter()
        .map(|component| {
            json!({
                "object": "component",
                "package": component.package,
                "file": component.path,
                "size": component.size,
                "changed": component.changed,
            })
        })
        .collect();
    match args.output.output {
        Format::Table => cx.table(&built, &COLUMNS)?,
        Format::Json => {
            let list = json!({"object": "list", "data": built, "has_more": false});
            cx.json(&list, Format::Json)?;
        }
        Format::Jsonl => {
            for component in &built {
                cx.json(component, Format::Jsonl)?;
            }
        }
    }
    Ok(())
}

/// Build the plugins of `project` into `out` as they are, for the demo.
pub(super) async fn build_into(project: &Path, out: &Path, cx: &Context) -> anyhow::Result<Built> {
    let options = BuildOptions {
        project: project.to_owned(),
        language: None,
        out: Some(out.to_owned()),
        locked: true,
        install: false,
        color: cx.colour && cx.terminal,
        environment: environment(cx, true),
    };
    build_plugins(options).await
}

async fn build_plugins(options: BuildOptions) -> anyhow::Result<Built> {
    let building = move || {
        let mut spoken = Spoken(ProgressBar::new_spinner());
        spoken.0.enable_steady_tick(Duration::from_millis(100));
        let built = build(&options, &mut spoken);
        spoken.0.finish_and_clear();
        built
    };
    Ok(tokio::task::spawn_blocking(building).await??)
}

fn environment(cx: &Context, rustup: bool) -> BuildEnvironment {
    let home = PathBuf::from(cx.env.get("HOME").unwrap_or_default());
    let directory = |name: &str, below: &str| {
        let named = cx.env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        named.unwrap_or_else(|| home.join(below))
    };
    BuildEnvironment {
        path: OsString::from(cx.env.get("PATH").unwrap_or_default()),
        cargo_home: Some(directory("CARGO_HOME", ".cargo")),
        cache: directory("XDG_CACHE_HOME", ".cache"),
        rustup,
    }
}

/// Steps as lines on standard error; on a terminal the tools' own lines beside a spinner.
struct Spoken(ProgressBar);

impl Progress for Spoken {
    fn step(&mut self, what: &str) {
        self.0.suspend(|| eprintln!("{what}"));
    }

    fn detail(&mut self, line: &str) {
        self.0.set_message(line.trim().to_owned());
    }
}
