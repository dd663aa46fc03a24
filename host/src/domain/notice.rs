//! signalbox's own events: what happened to deliveries, plugins and requests, for plugins to
//! subscribe to. They take the place of dj-stripe's lifecycle signals and give alerts by plugin.
//!
//! Pure: nothing here is accepted or routed (`ingest`, `dispatch`).
//!
//! # Loops
//!
//! An event that something led to knows its depth: how many events led to one another before it.
//! What happens to an event of signalbox's own, or deeper than [`MAX_DEPTH`], makes no notice.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::clock::Timestamp;
use super::delivery::{Attempt, DeliveryId};
use super::effect::{EffectAttempt, EffectId};
use super::endpoint::EndpointId;
use super::event::{EventKey, Made, Source, VerifiedEvent};
use super::plugin::{CodeDigest, PluginName};

/// The provider of signalbox's own events. No plugin may have this name.
pub const PROVIDER: &str = "signalbox";

/// Most events that may lead to one another. An event emitted with a delay of a minute or more
/// begins anew: a timer that sets itself again is no runaway loop.
pub const MAX_DEPTH: u8 = 16;

/// Something that happened in the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// `signalbox.delivery.dead`: a delivery was given up.
    DeliveryDead {
        /// Which.
        delivery: DeliveryId,
        /// Type of its event.
        kind: String,
        /// Its last attempt.
        attempt: Attempt,
    },
    /// `signalbox.effect.dead`: an effect was given up.
    EffectDead {
        /// Which.
        effect: EffectId,
        /// Its last try.
        attempt: EffectAttempt,
    },
    /// `signalbox.plugin.paused`: its deliveries wait.
    PluginPaused {
        /// Which.
        plugin: PluginName,
        /// Why.
        reason: String,
    },
    /// `signalbox.plugin.resumed`
    PluginResumed {
        /// Which.
        plugin: PluginName,
        /// Why.
        reason: String,
    },
    /// `signalbox.plugin.loaded`: a file's content receives events.
    PluginLoaded {
        /// Which.
        plugin: PluginName,
        /// Of the plugin.
        version: semver::Version,
        /// Of the file.
        digest: CodeDigest,
        /// Its path.
        file: String,
    },
    /// `signalbox.plugin.refused`: a file's content was not loaded.
    PluginRefused {
        /// Its path.
        file: String,
        /// Step, cause and remedy.
        reason: String,
        /// Whether the content before receives events still.
        stale: bool,
    },
    /// `signalbox.plugin.removed`: a file went; its deliveries wait.
    PluginRemoved {
        /// Its path.
        file: String,
    },
    /// `signalbox.request.rejected`: requests at an endpoint were refused. One notice stands for
    /// all of one endpoint and code within a while: a flood of bad requests is no flood of events.
    RequestRejected {
        /// Where.
        endpoint: EndpointId,
        /// Why, as it was answered.
        code: String,
        /// How many since the last notice.
        count: u64,
    },
    /// `signalbox.reconcile.lost_ground`: nobody looked for so long that the provider no longer
    /// lists what happened at the beginning of that time. What was missed then stays missed.
    LostGround {
        /// The operator's name of the account, and the connected account after a slash.
        account: String,
        /// From this moment on nobody looked.
        from: Timestamp,
        /// From this moment on the provider's list was read again.
        until: Timestamp,
    },
}

impl Notice {
    /// The type of its event.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::DeliveryDead { .. } => "signalbox.delivery.dead",
            Self::EffectDead { .. } => "signalbox.effect.dead",
            Self::PluginPaused { .. } => "signalbox.plugin.paused",
            Self::PluginResumed { .. } => "signalbox.plugin.resumed",
            Self::PluginLoaded { .. } => "signalbox.plugin.loaded",
            Self::PluginRefused { .. } => "signalbox.plugin.refused",
            Self::PluginRemoved { .. } => "signalbox.plugin.removed",
            Self::RequestRejected { .. } => "signalbox.request.rejected",
            Self::LostGround { .. } => "signalbox.reconcile.lost_ground",
        }
    }

    fn data(&self) -> Value {
        match self {
            Self::DeliveryDead { delivery, kind, attempt } => json!({
                "object": "delivery",
                "id": delivery.to_string(),
                "event": delivery.event.id,
                "provider": delivery.event.provider,
                "type": kind,
                "plugin": delivery.plugin,
                "digest": attempt.digest.to_string(),
                "attempts": attempt.number,
                "outcome": attempt.outcome,
                "reason": attempt.reason,
            }),
            Self::EffectDead { effect, attempt } => json!({
                "object": "effect",
                "id": effect.to_string(),
                "delivery": effect.delivery.to_string(),
                "plugin": effect.delivery.plugin,
                "attempts": attempt.number,
                "status": attempt.status,
                "reason": attempt.reason,
            }),
            Self::PluginPaused { plugin, reason } | Self::PluginResumed { plugin, reason } => {
                json!({ "object": "plugin", "name": plugin, "reason": reason })
            }
            Self::PluginLoaded { plugin, version, digest, file } => json!({
                "object": "plugin",
                "name": plugin,
                "version": version.to_string(),
                "digest": digest.to_string(),
                "file": file,
            }),
            Self::PluginRefused { file, reason, stale } => {
                json!({ "object": "plugin", "file": file, "reason": reason, "stale": stale })
            }
            Self::PluginRemoved { file } => json!({ "object": "plugin", "file": file }),
            Self::RequestRejected { endpoint, code, count } => json!({
                "object": "request",
                "endpoint": endpoint.to_string(),
                "code": code,
                "count": count,
            }),
            Self::LostGround { account, from, until } => json!({
                "object": "lost_ground",
                "account": account,
                "from": from.as_secs(),
                "until": until.as_secs(),
            }),
        }
    }

    /// The event that tells of it, and how it came. `at` is when it happened, `depth` how many
    /// events led to it.
    #[must_use]
    pub fn event(&self, at: Timestamp, depth: u8) -> (VerifiedEvent, Source) {
        let data = self.data();
        let mut hash = Sha256::new();
        hash.update(self.kind());
        hash.update(at.as_millis().to_be_bytes());
        hash.update(data.to_string());
        let digest = hex::encode(hash.finalize());
        let id = format!("evt_{}", digest.get(..32).unwrap_or(&digest));
        let body = json!({
            "id": id,
            "object": "event",
            "type": self.kind(),
            "created": at.as_secs(),
            "data": { "object": data },
        });
        let key = EventKey { provider: PROVIDER.to_owned(), id };
        let body = Bytes::from(body.to_string());
        let mut event = VerifiedEvent::vouched(
            key,
            self.kind().to_owned(),
            "application/json".to_owned(),
            body,
        );
        event.occurred_at = at;
        (event, Source::Host(Made { depth, ..Made::default() }))
    }
}
