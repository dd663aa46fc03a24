//! Why a plugin receives an event, or does not: the routing table's decision, told.
//!
//! Not the decision itself (`plugin::routes`), which stops at the first entry that matches.

use serde::Serialize;

use super::call::Loaded;
use super::filter::Subject;
use super::routes::RoutingTable;
use crate::domain::event::VerifiedEvent;
use crate::domain::plugin::{CodeDigest, PluginName, Subscription};

/// What one subscription of a plugin says to an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "cause")]
pub enum Said {
    /// It wants the event.
    Matched,
    /// It is about another provider's events.
    ProviderDiffers,
    /// It is about other types.
    TypeDiffers,
    /// Its filter is false for this event.
    FilterFalse,
    /// Its filter could not be evaluated, which counts as a match; and why.
    FilterFailed(String),
}

impl Said {
    /// Whether the plugin receives the event for it.
    #[must_use]
    pub const fn matches(&self) -> bool {
        matches!(self, Self::Matched | Self::FilterFailed(_))
    }
}

/// What one plugin says to an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Which plugin.
    pub plugin: PluginName,
    /// Its code.
    pub digest: CodeDigest,
    /// Each subscription, in the order of the manifest.
    pub entries: Vec<(Subscription, Said)>,
}

impl Explanation {
    /// Whether the plugin receives the event.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.entries.iter().any(|(_, said)| said.matches())
    }
}

impl RoutingTable {
    /// What each plugin says to `event`, by name. Runs filters, no guest.
    #[must_use]
    pub fn explain(&self, event: &VerifiedEvent) -> Vec<Explanation> {
        let subject = Subject::new(event);
        self.plugins().map(|plugin| explain(plugin, event, &subject)).collect()
    }
}

fn explain(plugin: &Loaded, event: &VerifiedEvent, subject: &Subject<'_>) -> Explanation {
    let manifest = plugin.manifest();
    let entries = manifest.subscriptions.iter().zip(plugin.filters()).map(|(wanted, filter)| {
        let said = if wanted.provider != event.key.provider {
            Said::ProviderDiffers
        } else if !wanted.kind.matches(&event.kind) {
            Said::TypeDiffers
        } else {
            match filter.as_ref().map(|filter| filter.judge(subject)) {
                None | Some(Ok(true)) => Said::Matched,
                Some(Ok(false)) => Said::FilterFalse,
                Some(Err(cause)) => Said::FilterFailed(cause),
            }
        };
        (wanted.clone(), said)
    });
    Explanation {
        plugin: manifest.name.clone(),
        digest: plugin.digest(),
        entries: entries.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plugin::tests::{components, engine, event, load};

    #[tokio::test]
    async fn each_subscription_says_its_own() {
        let engine = engine();
        let entry = |provider: &str, kind: &str, filter: Option<&str>| {
            (provider.to_owned(), kind.to_owned(), filter.map(str::to_owned))
        };
        let spec = components::Spec {
            subscriptions: vec![
                entry("stripe", "charge.*", None),
                entry("github", "charge.succeeded", None),
                entry("stripe", "invoice.paid", None),
                entry("stripe", "charge.*", Some("event.data.object.amount > 1")),
                entry("stripe", "*", Some("event.data.object.nothing > 1")),
            ],
            ..components::spec("a", &[])
        };
        let plugin = load(&engine, components::build(&spec)).await.unwrap();
        let none = load(&engine, components::noop("b", &["invoice.*"])).await.unwrap();
        let table = RoutingTable::new([Arc::new(plugin), Arc::new(none)], vec![]);
        let event = event("charge.succeeded", r#"{"data":{"object":{"amount":1}}}"#);
        let all = table.explain(&event);
        let said: Vec<_> = all[0].entries.iter().map(|(_, said)| said.clone()).collect();
        assert_eq!(
            said[..4],
            [Said::Matched, Said::ProviderDiffers, Said::TypeDiffers, Said::FilterFalse]
        );
        assert!(matches!(&said[4], Said::FilterFailed(cause) if !cause.is_empty()), "{said:?}");
        // As the table decides.
        let matching: Vec<_> =
            all.iter().filter(|e| e.matches()).map(|e| e.plugin.clone()).collect();
        assert_eq!(matching, table.matching(&event));
        assert_eq!(all.len(), 2);
    }
}
