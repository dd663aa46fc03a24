//! The directory of a project under development, a free port for it, and what its plugins ask for.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::app;
use crate::config::{Config, PluginSettings};
use crate::domain::grant::HTTP;
use crate::domain::plugin::DeliveryPolicy;
use crate::plugin::{Engine, EngineConfig, Trial};

use super::super::check;
use super::super::context::Context;
use super::super::place::{self, Place};

/// Its name within the project.
const DIR: &str = ".signalbox";

const MORE: &str = r#"# [plugin.NAME]
# settings = { greeting = "hello" }
# grants = [{ capability = "outbox.http", scope = "POST https://hooks.example.com/*" }]
"#;

/// Make the directory, unless it is there.
pub(super) fn prepare(project: &Path) -> anyhow::Result<Place> {
    let dir = project.join(DIR);
    anyhow::ensure!(project.is_dir(), "{} is no directory", project.display());
    let place = place::prepare(&dir, "dev", MORE)?;
    let ignored = dir.join(".gitignore");
    if !ignored.exists() {
        fs::write(&ignored, "*\n")
            .with_context(|| format!("cannot write {}", ignored.display()))?;
    }
    // A component that the project no longer builds must not run on.
    for entry in fs::read_dir(&place.plugins)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(place)
}

/// `address`, or any port of it where its own is taken.
pub(super) fn free(address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(address.ip(), 0),
    }
}

/// Grant each plugin of which the configuration grants nothing what it asks for, and say so.
pub(super) async fn grant(config: &mut Config, place: &Place, cx: &Context) -> anyhow::Result<()> {
    // The host finds in its cache what is compiled here.
    let engine = EngineConfig { pool: 0, ..app::engine(config, 1) };
    let engine = Engine::new(&engine, Arc::clone(&cx.clock))?;
    let trial = Trial { grant_all: true, ..Trial::default() };
    let policy = app::policy(config, &app::providers(config));
    for entry in fs::read_dir(&place.plugins)? {
        let file = entry?.path();
        // Why it does not load is told when the host tries.
        let loaded = engine.load_on_trial(check::read(&file)?, &policy, &trial).await;
        let Ok((loaded, granted)) = loaded else { continue };
        let name = &loaded.manifest().name;
        let own = config.plugin.get(name).cloned();
        if granted.is_empty() || own.as_ref().is_some_and(|own| !own.grants.is_empty()) {
            continue;
        }
        let own = own.unwrap_or_else(|| PluginSettings {
            limits: config.plugins.limits.clone(),
            delivery: DeliveryPolicy {
                backoff: config.dispatch.backoff.clone(),
                ..DeliveryPolicy::default()
            },
            ..PluginSettings::default()
        });
        let grants = loaded.grants().to_vec();
        config.plugin.insert(name.clone(), PluginSettings { grants, ..own });
        let sends = granted.iter().any(|one| one.capability == HTTP);
        let granted = granted.iter().map(|one| format!("{} `{}`", one.capability, one.scope));
        let granted = granted.collect::<Vec<_>>().join(", ");
        cx.say(format_args!("note: {name} is granted what it asks for: {granted}"));
        if sends {
            cx.say("note: its HTTP requests are really sent");
        }
    }
    Ok(())
}
