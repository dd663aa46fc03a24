//! `[reconcile]`: how missed events are looked for.

use std::time::Duration;

use super::super::reader::Table;
use super::super::settings::Reconcile;
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
