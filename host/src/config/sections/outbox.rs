//! `[outbox]` and `[secret]`: how effects are performed, and what may be put into them.

use std::collections::BTreeMap;

use crate::domain::endpoint::Secret;

use super::super::problem::Problem;
use super::super::reader::Table;
use super::super::settings::Outbox;
use super::super::value::Referred;
use super::{HOUR, SECOND, backoff, count, size};

pub(super) fn outbox(mut table: Table<'_>) -> Outbox {
    let default = Outbox::default();
    let concurrency = count(&mut table, "concurrency", default.concurrency, 1, 10_000);
    let outbox = Outbox {
        concurrency,
        per_plugin: count(&mut table, "per_plugin", default.per_plugin.min(concurrency), 1, 10_000),
        timeout: table.within("timeout", default.timeout, SECOND..=HOUR),
        response: size(&mut table, "response", default.response, 0, 1 << 20),
        allow_networks: table.optional_list("allow_networks"),
        ca_file: table.optional("ca_file"),
        backoff: backoff(&mut table, &default.backoff),
    };
    table.finish();
    outbox
}

/// Every key is a name of the operator's own.
pub(super) fn secrets(mut table: Table<'_>) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, node) in table.rest() {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(fits) {
            table.reader().report(Problem::Conflict {
                key: table.key(&name),
                cause: "a secret's name is letters, digits, `_` and `-`".to_owned(),
                origin: node.origin.clone(),
            });
            continue;
        }
        if let Some(found) = table.read::<Referred>(&name, &node) {
            secrets.insert(name, found.secret);
        }
    }
    secrets
}
