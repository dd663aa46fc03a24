//! A file of the plugins directory, as it is shown.
//!
//! Not how it came to stand so (`registry`).

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::domain::grant::Grant;
use crate::domain::plugin::{
    CapabilityRequest, CodeDigest, Limits, Pause, PausedBy, PluginName, Subscription,
};
use crate::plugin::call::Loaded;

/// Where a file of the plugins directory stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginStatus {
    /// Its newest content receives events.
    Loaded,
    /// Its newest content was refused; the version before receives events.
    Stale,
    /// It was refused and nothing of it receives events.
    Refused,
    /// It is loaded and its deliveries wait.
    Paused,
}

/// A file of the plugins directory, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PluginReport {
    /// The file.
    pub file: PathBuf,
    /// The plugin's name, once known.
    pub name: Option<PluginName>,
    /// Version of what receives events.
    pub version: Option<semver::Version>,
    /// Digest of what receives events.
    #[serde(serialize_with = "digest_as_text")]
    pub digest: Option<CodeDigest>,
    /// Where it stands.
    pub status: PluginStatus,
    /// Why it is not simply loaded: step, cause and remedy.
    pub reason: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// Which events it wants.
    pub subscriptions: Vec<Subscription>,
    /// What it was granted.
    pub grants: Vec<CapabilityRequest>,
    /// What a delivery may use.
    pub limits: Option<Limits>,
    /// Names of the operator's settings; their values may be confidential.
    pub settings: Vec<String>,
    /// Bytes of the file that receives events.
    pub size: Option<usize>,
}

/// As people and the admin API write it, not as thirty-two numbers.
fn digest_as_text<S: Serializer>(digest: &Option<CodeDigest>, to: S) -> Result<S::Ok, S::Error> {
    digest.as_ref().map(ToString::to_string).serialize(to)
}

impl PluginReport {
    /// A file nothing of which receives events.
    #[must_use]
    pub fn refused(file: PathBuf, name: Option<PluginName>, reason: String) -> Self {
        Self {
            file,
            name,
            version: None,
            digest: None,
            status: PluginStatus::Refused,
            reason: Some(reason),
            warnings: Vec::new(),
            subscriptions: Vec::new(),
            grants: Vec::new(),
            limits: None,
            settings: Vec::new(),
            size: None,
        }
    }

    /// A file whose plugin receives events. `reason` says why its newest content does not.
    #[must_use]
    pub fn loaded(file: PathBuf, plugin: &Loaded, reason: Option<String>) -> Self {
        let manifest = plugin.manifest();
        Self {
            file,
            name: Some(manifest.name.clone()),
            version: Some(manifest.version.clone()),
            digest: Some(plugin.digest()),
            status: if reason.is_some() { PluginStatus::Stale } else { PluginStatus::Loaded },
            reason,
            warnings: plugin.warnings().to_vec(),
            subscriptions: manifest.subscriptions.clone(),
            grants: plugin.grants().iter().map(Grant::shown).collect(),
            limits: Some(plugin.limits().clone()),
            settings: plugin.settings().keys().cloned().collect(),
            size: Some(plugin.size()),
        }
    }

    /// The same while its plugin's deliveries wait.
    #[must_use]
    pub(super) fn paused(mut self, pause: &Pause) -> Self {
        let why = match pause.by {
            PausedBy::Operator => format!("paused by an operator: {}", pause.reason),
            PausedBy::Failures(_) => format!("paused: {}", pause.reason),
        };
        self.reason = Some(match self.reason.take() {
            Some(stale) => format!("{why}; its newest content is not loaded: {stale}"),
            None => why,
        });
        self.status = PluginStatus::Paused;
        self
    }

    /// Whether something of the file receives events.
    #[must_use]
    pub fn receives(&self) -> bool {
        self.status != PluginStatus::Refused
    }
}
