//! Each section's keys, their types, bounds and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::endpoint::{Endpoint, EndpointId, Secret};
use crate::domain::grant::Grant;
use crate::domain::plugin::{DeliveryPolicy, Limits, PluginName};

use super::problem::Problem;
use super::reader::Table;
use super::settings::{
    Config, Dispatch, EndpointSettings, Log, PluginSettings, Plugins, Retention, Server,
    ServerLimits, StoreSettings, StripeAccount, Validation,
};
use super::value::{Bound, Referred, Signing, Size, Value as _, WebUrl};

/// Providers whose rules this version knows.
const PROVIDERS: [&str; 1] = ["stripe"];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn config(mut root: Table<'_>) -> Config {
    let (server, store) = (server(root.table("server")), store(root.table("store")));
    let plugins = plugins(root.table("plugins"));
    let config = Config {
        server,
        store,
        endpoints: endpoints(root.tables("endpoint")),
        plugin: plugin(root.table("plugin"), &plugins.limits),
        plugins,
        stripe_accounts: stripe(root.table("stripe")),
        dispatch: dispatch(root.table("dispatch")),
        log: log(root.table("log")),
        ..Config::default()
    };
    root.finish();
    config
}

fn server(mut table: Table<'_>) -> Server {
    let default = Server::default();
    let server = Server {
        listen: table.value("listen", default.listen),
        admin_listen: table.value("admin_listen", default.admin_listen),
        admin_token: admin_token(&mut table),
        public_url: table.optional::<WebUrl>("public_url").map(|url| url.0),
        limits: server_limits(table.table("limits")),
    };
    // Port 0 lets the system choose; two listeners may both ask for that.
    if server.listen == server.admin_listen && server.listen.port() != 0 {
        table.reader().report(Problem::Conflict {
            key: table.key("admin_listen"),
            cause: format!("`server.listen` is {} too; give each its own port", server.listen),
            origin: table.origin_of("admin_listen"),
        });
    }
    table.finish();
    server
}

fn admin_token(table: &mut Table<'_>) -> Option<Secret> {
    let token = table.optional::<Referred>("admin_token")?.secret;
    if token.expose().trim().len() < Server::TOKEN_MIN {
        table.reader().report(Problem::Conflict {
            key: table.key("admin_token"),
            cause: format!(
                "it is shorter than {} characters and could be guessed; take a longer one, or none \
                 to have one made",
                Server::TOKEN_MIN
            ),
            origin: table.origin_of("admin_token"),
        });
    }
    Some(token)
}

fn server_limits(mut table: Table<'_>) -> ServerLimits {
    let default = ServerLimits::default();
    let timeout = SECOND..=HOUR;
    let limits = ServerLimits {
        connections: count(&mut table, "connections", default.connections, 1, 1 << 20),
        in_flight: count(&mut table, "in_flight", default.in_flight, 1, 1 << 16),
        body: size(&mut table, "body", default.body, 1 << 10, 64 << 20),
        headers: size(&mut table, "headers", default.headers, 8 << 10, 1 << 20),
        header_timeout: table.within("header_timeout", default.header_timeout, timeout.clone()),
        body_timeout: table.within("body_timeout", default.body_timeout, timeout.clone()),
        write_timeout: table.within("write_timeout", default.write_timeout, timeout),
        shutdown_timeout: table.within(
            "shutdown_timeout",
            default.shutdown_timeout,
            Duration::ZERO..=HOUR,
        ),
    };
    table.finish();
    limits
}

fn store(mut table: Table<'_>) -> StoreSettings {
    let default = StoreSettings::default();
    let path = table.reader().scope.base.join(default.path);
    let long = Duration::ZERO..=DAY * 36_500;
    let settings = StoreSettings {
        path: table.value("path", path),
        cache: size(&mut table, "cache", default.cache, 1 << 20, 1 << 40),
        retention: Retention {
            age: table.value("retain_for", Bound(default.retention.age)).0,
            bytes: table
                .value("retain_bytes", Bound(default.retention.bytes.map(Size)))
                .0
                .map(|size| size.0),
            dedupe_age: table.within("dedupe_for", default.retention.dedupe_age, long),
        },
    };
    let retention = &settings.retention;
    if let Some(age) = retention.age
        && retention.dedupe_age < age
    {
        let shown = |wait: Duration| wait.show().unwrap_or_default();
        table.reader().report(Problem::Conflict {
            key: table.key("dedupe_for"),
            cause: format!(
                "{} is shorter than `store.retain_for` ({}): an event still kept would no longer \
                 be known as a duplicate; make it at least as long",
                shown(retention.dedupe_age),
                shown(age),
            ),
            origin: table.origin_of("dedupe_for"),
        });
    }
    table.finish();
    settings
}

fn plugins(mut table: Table<'_>) -> Plugins {
    let default = Plugins::default();
    let dir = table.reader().scope.base.join(default.dir);
    let settings = Plugins {
        dir: table.value("dir", dir),
        limits: limits(table.table("limits"), &default.limits),
    };
    table.finish();
    settings
}

fn endpoints(tables: Vec<Table<'_>>) -> Vec<EndpointSettings> {
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    for mut table in tables {
        let id = table.required("id").map(EndpointId);
        let provider = table.checked("provider", "stripe".to_owned(), |name: &String| {
            if PROVIDERS.contains(&name.as_str()) {
                return Ok(());
            }
            Err(format!("one of the providers this version knows: `{}`", PROVIDERS.join("`, `")))
        });
        let secrets = table.list::<Signing>("secrets");
        let validation = table.value("validation", Validation::default());
        let tolerance = table.value("tolerance", Endpoint::DEFAULT_TOLERANCE);
        let description = table.optional("description");
        if let Some(id) = id {
            if endpoints.iter().any(|other| other.id == id) {
                table.reader().report(Problem::Conflict {
                    key: table.key("id"),
                    cause: format!("{id} is another endpoint's id; each needs its own"),
                    origin: table.origin_of("id"),
                });
            }
            let secrets = secrets.into_iter().map(Signing::into_secret).collect();
            endpoints.push(EndpointSettings {
                id,
                provider,
                secrets,
                validation,
                tolerance,
                description,
            });
        }
        table.finish();
    }
    endpoints
}

fn plugin(mut table: Table<'_>, base: &Limits) -> BTreeMap<PluginName, PluginSettings> {
    let mut plugins = BTreeMap::new();
    for (name, node) in table.rest() {
        match name.parse::<PluginName>() {
            Ok(parsed) => {
                let mut inner = table.inner(&name, node);
                let settings = PluginSettings {
                    grants: grants(inner.tables("grants")),
                    settings: settings(inner.table("settings")),
                    limits: limits(inner.table("limits"), base),
                    delivery: DeliveryPolicy::default(),
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

fn grants(tables: Vec<Table<'_>>) -> Vec<Grant> {
    let mut grants = Vec::new();
    for mut table in tables {
        let capability: Option<String> = table.required("capability");
        let scope: Option<String> = table.required("scope");
        let secrets = table.optional_list("secrets");
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
fn limits(mut table: Table<'_>, default: &Limits) -> Limits {
    let tick = Duration::from_millis(10);
    let limits = Limits {
        cpu: table.within("cpu", default.cpu, tick..=HOUR),
        wall: table.within("wall", default.wall, tick..=HOUR),
        memory: size(&mut table, "memory", default.memory, 64 << 10, 4 << 30),
        kv_operations: number(&mut table, "kv_operations", default.kv_operations),
        kv_value: size(&mut table, "kv_value", default.kv_value, 0, 1 << 20),
        kv_writes: size(&mut table, "kv_writes", default.kv_writes, 0, 2 << 20),
        kv_quota: size(&mut table, "kv_quota", default.kv_quota, 0, 1 << 40),
        effects: number(&mut table, "effects", default.effects),
        effect_bytes: size(&mut table, "effect_bytes", default.effect_bytes, 0, 2 << 20),
        log_records: number(&mut table, "log_records", default.log_records),
        log_bytes: size(&mut table, "log_bytes", default.log_bytes, 0, 1 << 20),
        hostcall_bytes: size(&mut table, "hostcall_bytes", default.hostcall_bytes, 1, 4 << 30),
    };
    table.finish();
    limits
}

fn stripe(mut table: Table<'_>) -> Vec<StripeAccount> {
    let mut accounts: Vec<StripeAccount> = Vec::new();
    for mut account in table.tables("account") {
        let name = account.value("name", "default".to_owned());
        let api_key = account.required::<Referred>("api_key");
        let base = WebUrl(StripeAccount::API_BASE.to_owned());
        let api_base = account.checked("api_base", base, |url| {
            let wish = "an `https` URL; plain `http` only for this machine".to_owned();
            if url.0.starts_with("https://") || is_local(&url.0) { Ok(()) } else { Err(wish) }
        });
        if accounts.iter().any(|other| other.name == name) {
            account.reader().report(Problem::Conflict {
                key: account.key("name"),
                cause: format!("`{name}` is another account's name; each needs its own"),
                origin: account.origin().clone(),
            });
        }
        if let Some(api_key) = api_key {
            accounts.push(StripeAccount { name, api_key: api_key.secret, api_base: api_base.0 });
        }
        account.finish();
    }
    table.finish();
    accounts
}

fn is_local(url: &str) -> bool {
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

fn dispatch(mut table: Table<'_>) -> Dispatch {
    let default = Dispatch::default();
    let first = table.within("first_wait", default.backoff.first, SECOND / 10..=DAY);
    let longest = table.within("longest_wait", default.backoff.longest, SECOND / 10..=DAY * 7);
    let settings = Dispatch {
        concurrency: count(&mut table, "concurrency", default.concurrency, 1, 10_000),
        backoff: Backoff {
            first,
            longest,
            attempts: number_within(&mut table, "attempts", default.backoff.attempts, 1, 1_000),
            age: table.within("give_up_after", default.backoff.age, SECOND..=DAY * 365),
        },
    };
    if first > longest {
        table.reader().report(Problem::Conflict {
            key: table.key("longest_wait"),
            cause: "it is shorter than `dispatch.first_wait`".to_owned(),
            origin: table.origin_of("longest_wait"),
        });
    }
    table.finish();
    settings
}

fn log(mut table: Table<'_>) -> Log {
    let default = Log::default();
    let log = Log {
        level: table.checked("level", default.level, |level: &String| {
            crate::telemetry::filter(level).map(drop).map_err(|error| {
                format!("`error`, `warn`, `info`, `debug`, `trace`, `off` or directives ({error})")
            })
        }),
        format: table.value("format", default.format),
    };
    table.finish();
    log
}

fn size(table: &mut Table<'_>, name: &'static str, default: u64, least: u64, most: u64) -> u64 {
    table.within(name, Size(default), Size(least)..=Size(most)).0
}

fn count(
    table: &mut Table<'_>,
    name: &'static str,
    default: usize,
    least: u64,
    most: u64,
) -> usize {
    let read = table.within(name, u64::try_from(default).unwrap_or(most), least..=most);
    usize::try_from(read).unwrap_or(default)
}

fn number(table: &mut Table<'_>, name: &'static str, default: u32) -> u32 {
    number_within(table, name, default, 0, 1_000_000)
}

fn number_within(
    table: &mut Table<'_>,
    name: &'static str,
    default: u32,
    least: u64,
    most: u64,
) -> u32 {
    u32::try_from(table.within(name, u64::from(default), least..=most)).unwrap_or(default)
}
