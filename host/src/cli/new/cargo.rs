//! A package's manifest outside the workspace it was written in.

use anyhow::{Context as _, anyhow};
use toml::{Table, Value};

/// Tables that speak of the workspace's own development.
const OWN: [&str; 2] = ["lints", "dev-dependencies"];

/// `manifest` with what it inherits from `workspace` written out. Dependencies inside the workspace
/// are expected below the package, under the last part of their names: `macros`.
///
/// # Errors
/// When one of the two is no manifest, or the workspace lacks what is inherited.
pub(super) fn standalone(manifest: &str, workspace: &str) -> anyhow::Result<String> {
    let mut manifest: Table = manifest.parse()?;
    let workspace: Table = workspace.parse()?;
    let workspace = table(&workspace, "workspace")?;
    for own in OWN {
        manifest.remove(own);
    }
    let package = manifest.get_mut("package").and_then(Value::as_table_mut);
    let package = package.context("no [package]")?;
    inherit(package, table(workspace, "package")?)?;
    if let Some(dependencies) = manifest.get_mut("dependencies").and_then(Value::as_table_mut) {
        inherit(dependencies, table(workspace, "dependencies")?)?;
        for (name, dependency) in dependencies {
            if let Some(path) = dependency.get_mut("path") {
                let below = name.rsplit('-').next().unwrap_or(name);
                *path = Value::String(below.to_owned());
            }
        }
    }
    Ok(toml::to_string(&manifest)?)
}

/// Replace each `key.workspace = true` by the workspace's value.
fn inherit(table: &mut Table, workspace: &Table) -> anyhow::Result<()> {
    for (key, value) in table.iter_mut() {
        if value.get("workspace").and_then(Value::as_bool) == Some(true) {
            let inherited = workspace.get(key);
            *value = inherited.ok_or_else(|| anyhow!("the workspace has no {key}"))?.clone();
        }
    }
    Ok(())
}

fn table<'a>(of: &'a Table, key: &str) -> anyhow::Result<&'a Table> {
    of.get(key).and_then(Value::as_table).with_context(|| format!("no table {key}"))
}
