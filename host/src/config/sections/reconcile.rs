//! `[reconcile]`: how missed events are looked for.

use std::time::Duration;

use crate::reconcile::HORIZON;

use super::super::problem::Problem;
use super::super::reader::Table;
use super::super::settings::{Config, Reconcile};
use super::super::value::Value as _;
use super::super::words::Switch;
use super::{DAY, HOUR, SECOND};

pub(super) fn reconcile(mut table: Table<'_>) -> Reconcile {
    let default = Reconcile::default();
    let reconcile = Reconcile {
        enabled: table.value("enabled", Switch(default.enabled)).0,
        interval: table.within("interval", default.interval, SECOND..=DAY),
        overlap: table.within("overlap", default.overlap, Duration::ZERO..=DAY),
        grace: table.within("grace", default.grace, Duration::ZERO..=HOUR),
        first_since: table.within("first_since", default.first_since, Duration::ZERO..=DAY * 30),
    };
    table.finish();
    reconcile
}

/// What is listed again must still be known as a duplicate, or its handlers would run again.
pub(super) fn check_dedupe(root: &Table<'_>, config: &Config) {
    let looks = config.stripe_accounts.iter().any(|account| account.reconcile);
    let (known, needed) = (config.store.retention.dedupe_age, HORIZON + config.reconcile.overlap);
    if !config.reconcile.enabled || !looks || known >= needed {
        return;
    }
    let shown = |time: Duration| time.show().unwrap_or_default();
    root.reader().report(Problem::Conflict {
        key: root.key("store.dedupe_for"),
        cause: format!(
            "{} is shorter than the {} for which Stripe lists an event and `reconcile.overlap` ({}): \
             one that is found again would no longer be known as a duplicate, and be handled twice; \
             make it {}d or more, or set `reconcile.enabled = false`",
            shown(known),
            shown(HORIZON),
            shown(config.reconcile.overlap),
            needed.as_secs().div_ceil(DAY.as_secs()),
        ),
        origin: root.origin_of("store.dedupe_for"),
    });
}
