//! `[plugin.NAME]`: what the operator grants, sets and allows each plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::delivery::Order;
use crate::domain::endpoint::Secret;
use crate::domain::grant::Grant;
use crate::domain::plugin::{DeliveryPolicy, Limits, PluginName};

use super::super::problem::Problem;
use super::super::reader::Table;
use super::super::settings::{Dispatch, PluginSettings};
use super::super::value::Bound;
use super::super::words::{HeadOfLine, Ordering};
use super::{HOUR, backoff, number, number_within, size};

/// What holds where a plugin's section is silent.
pub(super) struct Base<'a> {
    pub(super) limits: &'a Limits,
    pub(super) dispatch: &'a Dispatch,
    /// What a grant may name.
    pub(super) secrets: &'a BTreeMap<String, Secret>,
}

pub(super) fn plugin(
    mut table: Table<'_>,
    base: &Base<'_>,
) -> BTreeMap<PluginName, PluginSettings> {
    let mut plugins = BTreeMap::new();
    for (name, node) in table.rest() {
        match name.parse::<PluginName>() {
            Ok(parsed) => {
                let mut inner = table.inner(&name, node);
                let (order, delivery) = delivery(&mut inner, base.dispatch);
                let settings = PluginSettings {
                    grants: grants(inner.tables("grants"), base.secrets),
                    settings: settings(inner.table("settings")),
                    limits: limits(inner.table("limits"), base.limits),
                    order,
                    delivery,
                };
                inner.finish();
                plugins.insert(parsed, settings);
            }
            Err(error) => {
                let origin = node.origin.clone();
                let (key, cause) = (table.key(&name), error.to_string());
                table.reader().report(Problem::Conflict { key, cause, origin });
            }
        }
    }
    plugins
}

/// How the plugin's deliveries are run, and their order where the operator decides it.
fn delivery(table: &mut Table<'_>, dispatch: &Dispatch) -> (Option<Order>, DeliveryPolicy) {
    let default = DeliveryPolicy::default();
    let ordering = table.optional::<Ordering>("ordering");
    let HeadOfLine(skip_after) = table.value("head_of_line", HeadOfLine(None));
    let object = Order::Object { skip_after };
    if ordering == Some(Ordering::None) && skip_after.is_some() {
        table.reader().report(Problem::Conflict {
            key: table.key("head_of_line"),
            cause: "nothing waits behind another with `ordering = \"none\"`; leave one of them out"
                .to_owned(),
            origin: table.origin_of("head_of_line"),
        });
    }
    let Bound(concurrency) = table.checked("concurrency", Bound::<u64>(None), |most| {
        let fits = most.0.is_none_or(|most| (1..=10_000).contains(&most));
        if fits { Ok(()) } else { Err("1 to 10000, or `unlimited`".to_owned()) }
    });
    let pause_after = number_within(table, "pause_after", default.pause_after, 0, 1_000);
    let mut retry = table.table("retry");
    let backoff = backoff(&mut retry, &dispatch.backoff);
    retry.finish();
    let order = ordering.map(|ordering| match ordering {
        Ordering::Object => object,
        Ordering::None => Order::None,
    });
    let concurrency = concurrency.and_then(|most| usize::try_from(most).ok());
    (order, DeliveryPolicy { order: object, concurrency, backoff, pause_after })
}

fn grants(tables: Vec<Table<'_>>, known: &BTreeMap<String, Secret>) -> Vec<Grant> {
    let mut grants = Vec::new();
    for mut table in tables {
        let capability: Option<String> = table.required("capability");
        let scope: Option<String> = table.required("scope");
        let secrets: Vec<String> = table.optional_list("secrets");
        for name in secrets.iter().filter(|name| !known.contains_key(*name)) {
            table.reader().report(Problem::Conflict {
                key: table.key("secrets"),
                cause: format!("there is no secret `{name}`; add it as `secret.{name}`"),
                origin: table.origin_of("secrets"),
            });
        }
        if let (Some(capability), Some(scope)) = (capability, scope) {
            match Grant::parse(&capability, &scope, secrets) {
                Ok(grant) => grants.push(grant),
                Err(error) => table.reader().report(Problem::Conflict {
                    key: table.key("scope"),
                    cause: error.to_string(),
                    origin: table.origin_of("scope"),
                }),
            }
        }
        table.finish();
    }
    grants
}

fn settings(mut table: Table<'_>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, node) in table.rest() {
        match node.text() {
            Some(text) => {
                let shown = if sounds_secret(&name) { "(hidden)".to_owned() } else { text.clone() };
                table.note(&name, shown, node.origin);
                settings.insert(name, text);
            }
            None => table.refuse(&name, &node, "text, a number or a boolean"),
        }
    }
    settings
}

/// Settings are no place for secrets; should one be there all the same, it is not shown.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "token", "password", "key"].iter().any(|word| name.contains(word))
}

/// The limits that a table sets; `default` where it is silent.
pub(super) fn limits(mut table: Table<'_>, default: &Limits) -> Limits {
    let tick = Duration::from_millis(10);
    let limits = Limits {
        cpu: table.within("cpu", default.cpu, tick..=HOUR),
        wall: table.within("wall", default.wall, tick..=HOUR),
        memory: size(&mut table, "memory", default.memory, 64 << 10, 4 << 30),
        kv_operations: number(&mut table, "kv_operations", default.kv_operations),
        kv_value: size(&mut table, "kv_value", default.kv_value, 0, 1 << 20),
        kv_writes: size(&mut table, "kv_writes", default.kv_writes, 0, 2 << 20),
        kv_quota: size(&mut table, "kv_quota", default.kv_quota, 0, 1 << 40),
        object_reads: number(&mut table, "object_reads", default.object_reads),
        object_bytes: size(&mut table, "object_bytes", default.object_bytes, 0, 1 << 30),
        effects: number(&mut table, "effects", default.effects),
        effect_bytes: size(&mut table, "effect_bytes", default.effect_bytes, 0, 2 << 20),
        log_records: number(&mut table, "log_records", default.log_records),
        log_bytes: size(&mut table, "log_bytes", default.log_bytes, 0, 1 << 20),
        hostcall_bytes: size(&mut table, "hostcall_bytes", default.hostcall_bytes, 1, 4 << 30),
    };
    table.finish();
    limits
}
