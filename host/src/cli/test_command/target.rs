//! What is tried out: component files, and projects that are built first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use crate::plugin::{Engine, Loaded, Policy, Trial};

use super::super::build_command;
use super::super::check;
use super::super::context::Context;

/// Where a project keeps events to try its handlers on.
const FIXTURES: &str = "fixtures";
/// Compiled components, within the user's cache.
const COMPILED: &str = "signalbox/compiled";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Targets {
    components: Vec<PathBuf>,
    /// Events of the projects.
    pub(super) fixtures: Vec<PathBuf>,
    pub(super) projects: Vec<PathBuf>,
}

/// Find the components, building those of projects.
pub(super) async fn find(
    paths: &[PathBuf],
    tools: &build_command::ToolArgs,
    cx: &Context,
) -> anyhow::Result<Targets> {
    let mut found = Targets::default();
    for path in paths {
        if !path.is_dir() {
            found.components.push(path.clone());
            continue;
        }
        let built = build_command::build_plugins(tools.options(path, None, cx)).await?;
        found.components.extend(built.components.into_iter().map(|component| component.path));
        found.fixtures.extend(events(&path.join(FIXTURES))?);
        found.projects.push(path.clone());
    }
    Ok(found)
}

/// Its JSON files, by name; none where there is no such directory.
fn events(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            events.push(path);
        }
    }
    events.sort();
    Ok(events)
}

/// Where machine code is kept, so that the second run of a large component is quick.
pub(super) fn cache(cx: &Context) -> Option<PathBuf> {
    Some(build_command::environment(cx, false).cache.join(COMPILED))
}

/// Load them, and say what they were granted and what is odd.
pub(super) async fn load(
    targets: &Targets,
    engine: &Engine,
    policy: &Policy,
    trial: &Trial,
    cx: &Context,
) -> anyhow::Result<Vec<Arc<Loaded>>> {
    let mut plugins: Vec<Arc<Loaded>> = Vec::new();
    for file in &targets.components {
        let shown = file.display();
        let loaded = engine.load_on_trial(check::read(file)?, policy, trial).await;
        let (loaded, granted) = loaded.map_err(|error| {
            anyhow!("{shown} will not load ({}): {error}; {}", error.step(), error.remedy())
        })?;
        let name = &loaded.manifest().name;
        if plugins.iter().any(|other| other.manifest().name == *name) {
            return super::usage(format!("{shown}: another file has the plugin `{name}` already"));
        }
        for warning in loaded.warnings() {
            cx.say(format_args!("note: {name}: {warning}"));
        }
        if !granted.is_empty() {
            let granted = granted.iter().map(|one| format!("{} `{}`", one.capability, one.scope));
            let granted = granted.collect::<Vec<_>>().join(", ");
            cx.say(format_args!("note: {name} is granted what it asks for: {granted}"));
        }
        plugins.push(Arc::new(loaded));
    }
    Ok(plugins)
}
