//! The directory of a project under development: its configuration, its endpoint, its data.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use uuid::Uuid;

use crate::app;
use crate::config::{Config, PluginSettings};
use crate::domain::grant::HTTP;
use crate::domain::plugin::DeliveryPolicy;
use crate::plugin::{Engine, EngineConfig, Trial};

use super::super::check;
use super::super::context::Context;

/// Its name within the project.
const DIR: &str = ".signalbox";

/// Where everything is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: PathBuf,
    pub(super) plugins: PathBuf,
}

/// Make the directory, unless it is there.
pub(super) fn prepare(project: &Path) -> anyhow::Result<Place> {
    let dir = project.join(DIR);
    let plugins = dir.join("plugins");
    let told = || format!("cannot make {}", dir.display());
    anyhow::ensure!(project.is_dir(), "{} is no directory", project.display());
    fs::create_dir_all(&plugins).with_context(told)?;
    let config = dir.join("signalbox.toml");
    for (file, text) in [(&config, text()), (&dir.join(".gitignore"), "*\n".to_owned())] {
        if !file.exists() {
            fs::write(file, text).with_context(told)?;
        }
    }
    // A component that the project no longer builds must not run on.
    for entry in fs::read_dir(&plugins)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(Place { config, plugins })
}

fn text() -> String {
    let (endpoint, secret) = (Uuid::new_v4(), Uuid::new_v4().simple());
    format!(
        r#"# Made by `signalbox dev`; yours to change. Delete the directory to begin anew.

[store]
path = "data"

[plugins]
dir = "plugins"

[[endpoint]]
id = "{endpoint}"
provider = "stripe"
secrets = ["whsec_dev_{secret}"]

[dispatch]
first_wait = "1s"     # so that a retry can be watched; the default is 5s

# [plugin.NAME]
# settings = {{ greeting = "hello" }}
# grants = [{{ capability = "outbox.http", scope = "POST https://hooks.example.com/*" }}]
"#
    )
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
