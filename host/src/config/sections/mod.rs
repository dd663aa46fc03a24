//! Each section's keys, their types, bounds and defaults.

mod outbox;
mod plugin;
mod provider;
mod reconcile;
mod stripe;
mod validation;

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::endpoint::{Endpoint, EndpointId, Secret, Validation};
use crate::provider::custom::CustomProvider;
use crate::provider::{self as rules, BUILT_IN, Provider};
use crate::stripe::Accounts;

use super::problem::Problem;
use super::reader::Table;
use super::settings::{
    Config, Dispatch, EndpointSettings, Log, Mirror, Plugins, Retention, Server, ServerLimits,
    StoreSettings,
};
use super::value::{Bound, Referred, Signing, Size, Value as _, WebUrl};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn config(mut root: Table<'_>) -> Config {
    let (server, store) = (server(root.table("server")), store(root.table("store")));
    let plugins = plugins(root.table("plugins"));
    let dispatch = dispatch(root.table("dispatch"));
    let secrets = outbox::secrets(root.table("secret"));
    let providers = provider::providers(root.tables("provider"));
    let stripe_accounts = stripe::accounts(root.table("stripe"));
    let base = plugin::Base { limits: &plugins.limits, dispatch: &dispatch, secrets: &secrets };
    let config = Config {
        server,
        store,
        endpoints: endpoints(root.tables("endpoint"), &providers, &stripe_accounts),
        providers,
        plugin: plugin::plugin(root.table("plugin"), &base),
        plugins,
        stripe_accounts,
        reconcile: reconcile::reconcile(root.table("reconcile")),
        dispatch,
        outbox: outbox::outbox(root.table("outbox")),
        mirror: mirror(root.table("mirror")),
        secrets,
        log: log(root.table("log")),
        ..Config::default()
    };
    reconcile::check_dedupe(&root, &config);
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
        aliases: table.optional_list("aliases"),
        trusted_proxies: table.optional_list("trusted_proxies"),
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
        refused_body: size(&mut table, "refused_body", default.refused_body, 0, 1 << 20),
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
        limits: plugin::limits(table.table("limits"), &default.limits),
    };
    table.finish();
    settings
}

fn endpoints(
    tables: Vec<Table<'_>>,
    described: &[CustomProvider],
    accounts: &Accounts,
) -> Vec<EndpointSettings> {
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    let known: Vec<&str> =
        BUILT_IN.into_iter().chain(described.iter().map(|provider| provider.name())).collect();
    let built_in = rules::built_in();
    for mut table in tables {
        let id = table.required("id").map(EndpointId);
        let provider = table.checked("provider", "stripe".to_owned(), |name: &String| {
            if known.contains(&name.as_str()) {
                return Ok(());
            }
            Err(format!(
                "one of `{}`, or the name of a `[[provider]]` that describes it",
                known.join("`, `")
            ))
        });
        let how = validation::validating(&mut table, &provider, accounts);
        let secrets = match how.validation {
            Validation::VerifySignature => table.list::<Signing>("secrets"),
            _ => table.optional_list("secrets"),
        };
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
            let secrets: Vec<Secret> = secrets.into_iter().map(Signing::into_secret).collect();
            let own = built_in.iter().map(|known| &**known as &dyn Provider);
            let mut rules = own.chain(described.iter().map(|known| known as &dyn Provider));
            if let Some(found) = rules.find(|known| known.name() == provider) {
                for cause in secrets.iter().filter_map(|secret| found.check_secret(secret).err()) {
                    table.reader().report(Problem::Conflict {
                        key: table.key("secrets"),
                        cause,
                        origin: table.origin_of("secrets"),
                    });
                }
            }
            endpoints.push(EndpointSettings {
                id,
                provider,
                secrets,
                validation: how.validation,
                force_unverified: how.force_unverified,
                account: how.account,
                livemode: how.livemode,
                connect: how.connect,
                tolerance,
                description,
            });
        }
        table.finish();
    }
    endpoints
}

fn dispatch(mut table: Table<'_>) -> Dispatch {
    let default = Dispatch::default();
    let settings = Dispatch {
        concurrency: count(&mut table, "concurrency", default.concurrency, 1, 10_000),
        backoff: backoff(&mut table, &default.backoff),
    };
    table.finish();
    settings
}

/// The keys of a schedule, wherever they stand.
fn backoff(table: &mut Table<'_>, default: &Backoff) -> Backoff {
    let first = table.within("first_wait", default.first, SECOND / 10..=DAY);
    let longest = table.within("longest_wait", default.longest, SECOND / 10..=DAY * 7);
    let backoff = Backoff {
        first,
        longest,
        attempts: number_within(table, "attempts", default.attempts, 1, 1_000),
        age: table.within("give_up_after", default.age, SECOND..=DAY * 365),
    };
    if first > longest {
        let shown = longest.show().unwrap_or_default();
        table.reader().report(Problem::Conflict {
            key: table.key("first_wait"),
            cause: format!("it is longer than `{}` ({shown})", table.key("longest_wait")),
            origin: table.origin_of("first_wait"),
        });
    }
    backoff
}

fn mirror(mut table: Table<'_>) -> Mirror {
    let default = Mirror::default();
    let mirror = Mirror {
        enabled: table.value("enabled", default.enabled),
        refetch_interval: table.within(
            "refetch_interval",
            default.refetch_interval,
            Duration::ZERO..=DAY,
        ),
    };
    table.finish();
    mirror
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
