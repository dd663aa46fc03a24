//! The configuration through its public face.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

mod delivery;
mod providers;
mod stripe;
mod validation;

use super::*;
use crate::domain::clock::Timestamp;
use crate::stripe::Mode;

const ENDPOINT: &str = r#"
[[endpoint]]
id = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11"
provider = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]
"#;

struct Dir(tempfile::TempDir);

impl Dir {
    fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("signalbox.toml"), text).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("signalbox.toml")
    }

    fn load<const N: usize>(&self, env: [(&str, &str); N]) -> Result<Config, ConfigError> {
        Config::load(Some(&self.file()), &Environment::from(env), &Flags::default())
    }
}

/// All problems of `text`, one a line, without the directory.
fn problems<const N: usize>(text: &str, env: [(&str, &str); N]) -> Vec<String> {
    let dir = Dir::with(text);
    let shown = |problem: &Problem| {
        problem.to_string().replace(&format!("{}/", dir.0.path().display()), "")
    };
    dir.load(env).map_or_else(|error| error.problems.iter().map(shown).collect(), |_| Vec::new())
}

fn origin(config: &Config, key: &str) -> String {
    config.entries.iter().find(|entry| entry.key == key).unwrap().origin.kind().to_owned()
}

#[test]
fn the_page_of_the_design_reads() {
    let text = r##"
[server]
listen = "127.0.0.1:4242"
admin_listen = "127.0.0.1:4243"
admin_token = "env:SIGNALBOX_ADMIN_TOKEN"
public_url = "https://hooks.example.com"
[store]
path = "data"
[plugins]
dir = "plugins"
[[endpoint]]
id = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11"
provider = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]
validation = "verify_signature"
tolerance = "300s"
[[stripe.account]]
name = "default"
api_key = "env:STRIPE_API_KEY"
api_base = "https://api.stripe.com"
[plugin.charge-counter]
grants = [{ capability = "outbox.http", scope = "POST https://hooks.example.com/*" }]
settings = { channel = "#money", retries = 3, loud = true }
limits = { cpu = "1s", wall = "5s", memory = "32MiB" }
"##;
    let dir = Dir::with(text);
    let config = dir
        .load([
            ("SIGNALBOX_ADMIN_TOKEN", "0123456789abcdef"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_1\n"),
            ("STRIPE_API_KEY", "sk_test_1"),
        ])
        .unwrap();
    assert_eq!(config.server.admin_token.unwrap().expose(), "0123456789abcdef");
    assert_eq!(config.server.public_url.unwrap(), "https://hooks.example.com");
    assert_eq!(config.store.path, dir.0.path().join("data"));
    let [endpoint] = config.endpoints.as_slice() else { panic!("endpoints") };
    let endpoint = endpoint.to_endpoint(Timestamp::from_secs(7));
    assert_eq!(endpoint.secrets[0].expose(), "whsec_1");
    assert_eq!(endpoint.tolerance, Duration::from_secs(300));
    assert_eq!(config.stripe_accounts.get("default").unwrap().mode(), Mode::Test);
    let plugin = &config.plugin[&"charge-counter".parse().unwrap()];
    assert_eq!(plugin.grants[0].shown().capability, "outbox.http");
    assert_eq!(plugin.settings["channel"], "#money");
    assert_eq!(plugin.settings["retries"], "3");
    assert_eq!(plugin.settings["loud"], "true");
    assert_eq!(plugin.limits.memory, 32 << 20);
    assert_eq!(plugin.limits.kv_operations, 1_000);
}

#[test]
fn nothing_at_all_is_the_defaults() {
    let dir = Dir::with("");
    let config = dir.load([]).unwrap();
    let expected = Server::default();
    assert_eq!(config.server, expected);
    assert_eq!(config.dispatch, Dispatch::default());
    assert_eq!(config.store.retention, Retention::default());
    assert!(config.entries.iter().all(|entry| entry.origin == Origin::Default));
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    const KEY: &str = "server.listen";
    let in_file = "[server]\nlisten = \"127.0.0.1:1\"\n";
    let in_env = ("SIGNALBOX_SERVER__LISTEN", "127.0.0.1:2");
    let mut flags = Flags::default();
    flags.set("--listen", KEY, "127.0.0.1:3");
    let none = Flags::default();
    let table: [(&str, Environment, &Flags, u16, &str); 5] = [
        ("", Environment::default(), &none, 4242, "default"),
        (in_file, Environment::default(), &none, 1, "file"),
        (in_file, Environment::from([in_env]), &none, 2, "env"),
        (in_file, Environment::from([in_env]), &flags, 3, "flag"),
        ("", Environment::default(), &flags, 3, "flag"),
    ];
    for (text, env, flags, port, from) in table {
        let config = Config::load(Some(&Dir::with(text).file()), &env, flags).unwrap();
        assert_eq!(config.server.listen.port(), port);
        assert_eq!(origin(&config, KEY), from);
    }
}

#[test]
fn the_environment_reaches_lists_plugins_and_new_entries() {
    let dir = Dir::with(ENDPOINT);
    let config = dir
        .load([
            ("A", "a"),
            ("B", "b"),
            ("STRIPE_WEBHOOK_SECRET", "s"),
            ("SIGNALBOX_ENDPOINT__0__SECRETS", "env:A, env:B"),
            ("SIGNALBOX_ENDPOINT__0__TOLERANCE", "0"),
            ("SIGNALBOX_ENDPOINT__1__ID", "00000000-0000-0000-0000-000000000001"),
            ("SIGNALBOX_ENDPOINT__1__SECRETS", "[\"literal,with a comma\"]"),
            ("SIGNALBOX_PLUGIN__CHARGE_COUNTER__LIMITS__CPU", "2s"),
            ("SIGNALBOX_PLUGIN__CHARGE_COUNTER__SETTINGS__CHANNEL", "#a"),
            (
                "SIGNALBOX_PLUGIN__CHARGE_COUNTER__GRANTS",
                "[{capability=\"outbox.emit\", scope=\"*\"}]",
            ),
            ("SIGNALBOX_STRIPE__ACCOUNT__0__API_KEY", "rk_live_1"),
            ("SIGNALBOX_DISPATCH__CONCURRENCY", "7"),
            ("SIGNALBOX_ADMIN_TOKEN", "not a key"),
        ])
        .unwrap();
    let exposed = |index: usize| {
        config.endpoints[index].secrets.iter().map(|s| s.expose()).collect::<Vec<_>>()
    };
    assert_eq!(exposed(0), ["a", "b"]);
    assert_eq!(exposed(1), ["literal,with a comma"]);
    assert_eq!(config.endpoints[0].tolerance, Duration::ZERO);
    let plugin = &config.plugin[&"charge-counter".parse().unwrap()];
    assert_eq!(plugin.limits.cpu, Duration::from_secs(2));
    assert_eq!(plugin.settings["channel"], "#a");
    assert_eq!(plugin.grants[0].shown().scope, "*");
    let account = config.stripe_accounts.get("default").unwrap();
    assert!(account.key.is_restricted() && account.reconcile);
    assert_eq!(config.dispatch.concurrency, 7);
}

#[test]
fn a_plugins_limits_are_its_own_over_those_of_all() {
    let text = "[plugins.limits]\ncpu = \"2s\"\nwall = \"9s\"\n[plugin.x.limits]\nwall = \"3s\"\n";
    let config = Dir::with(text).load([]).unwrap();
    let limits = &config.plugin[&"x".parse().unwrap()].limits;
    assert_eq!((limits.cpu, limits.wall), (Duration::from_secs(2), Duration::from_secs(3)));
    assert_eq!(config.plugins.limits.wall, Duration::from_secs(9));
}

#[test]
fn every_mistake_names_key_value_wish_and_place() {
    let table = [
        (
            "[server]\nlisen = \"x\"",
            "signalbox.toml:2: unknown key `server.lisen`; did you mean `server.listen`?",
        ),
        ("[sevrer]\n", "signalbox.toml:1: unknown key `sevrer`; did you mean `server`?"),
        ("\n[server]\nzzz = 1", "signalbox.toml:3: unknown key `server.zzz`"),
        (
            "[server]\nlisten = 4242",
            "signalbox.toml:2: `server.listen` is `4242` (without quotes); expected an address and a port such as `127.0.0.1:4242` or `[::1]:4242`",
        ),
        (
            "[server]\nlisten = \"localhost\"",
            "signalbox.toml:2: `server.listen` is `localhost`; expected an address and a port such as `127.0.0.1:4242` or `[::1]:4242`",
        ),
        (
            "[store]\nretain_for = 30",
            "signalbox.toml:2: `store.retain_for` is `30` (without quotes); expected a duration such as `30d`, or `forever`",
        ),
        (
            "[store]\nretain_bytes = \"many\"",
            "signalbox.toml:2: `store.retain_bytes` is `many`; expected a size such as `20GiB`, or `unlimited`",
        ),
        (
            "[store]\nretain_for = \"forever\"\ndedupe_for = \"-1s\"",
            "signalbox.toml:3: `store.dedupe_for` is `-1s`; expected a duration with its unit such as `500ms`, `300s`, `2h` or `7d`",
        ),
        (
            "[store]\ndedupe_for = \"1d\"",
            "signalbox.toml:2: `store.dedupe_for`: 1d is shorter than `store.retain_for` (30d): an event still kept would no longer be known as a duplicate; make it at least as long",
        ),
        (
            "[plugin.x.limits]\ncpu = \"2h\"",
            "signalbox.toml:2: `plugin.x.limits.cpu` is `2h`; expected 10ms to 1h",
        ),
        (
            "[plugin.x.limits]\nmemory = \"1KiB\"",
            "signalbox.toml:2: `plugin.x.limits.memory` is `1KiB`; expected 64KiB to 4GiB",
        ),
        (
            "[plugin.x.settings]\na = [1]",
            "signalbox.toml:2: `plugin.x.settings.a` is a list; expected text, a number or a boolean",
        ),
        (
            "[plugin.x]\ngrants = [{ capability = \"outbox.http\" }]",
            "signalbox.toml:2: `plugin.x.grants[0].scope` is missing; expected text",
        ),
        (
            "[dispatch]\nattempts = 0",
            "signalbox.toml:2: `dispatch.attempts` is `0` (without quotes); expected 1 to 1000",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "signalbox.toml:2: `log.level` is `loud`; expected `error`, `warn`, `info`, `debug`, `trace`, `off` or directives (`loud` is not a log level: it is no level, and directives look like `info,target=debug`)",
        ),
        (
            "[[stripe.account]]\napi_key = \"sk_test_1\"\napi_base = \"http://stripe.test\"",
            "signalbox.toml:3: `stripe.account[0].api_base` is `http://stripe.test`; expected an `https` URL; plain `http` only for this machine",
        ),
        (
            "[server]\nadmin_token = \"123456789012345\"",
            "signalbox.toml:2: `server.admin_token`: it is shorter than 16 characters and could be guessed; take a longer one, or none to have one made",
        ),
        ("server = 1", "signalbox.toml:1: `server` is `1` (without quotes); expected a table"),
        (
            "[server]\nlisten = \"127.0.0.1:4243\"",
            "default: `server.admin_listen`: `server.listen` is 127.0.0.1:4243 too; give each its own port",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problems(text, []), [expected], "{text}");
    }
}

#[test]
fn mistakes_of_endpoints() {
    let table = [
        (ENDPOINT.to_owned(), "signalbox.toml:5: `endpoint[0].secrets[0]`: the environment variable `STRIPE_WEBHOOK_SECRET` is not set; set it, or refer to a file (`file:PATH`)"),
        ("[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"".to_owned(), "signalbox.toml:1: `endpoint[0].secrets` is missing; expected a list, each entry a secret: `env:NAME`, `file:PATH`, the secret itself, or `{ secret = ..., not_after = 2027-01-31T00:00:00Z }`"),
        ("[[endpoint]]\nsecrets = [\"s\"]".to_owned(), "signalbox.toml:1: `endpoint[0].id` is missing; expected a UUID such as `6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11`"),
        ("[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = \"hush\"".to_owned(), "signalbox.toml:3: `endpoint[0].secrets` is not a list; expected a list, each entry a secret: `env:NAME`, `file:PATH`, the secret itself, or `{ secret = ..., not_after = 2027-01-31T00:00:00Z }`"),
        ("[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\" \"]".to_owned(), "signalbox.toml:3: `endpoint[0].secrets[0]`: literal: the secret is blank"),
        ("[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\"s\"]\nvalidation = \"hope\"".to_owned(), "signalbox.toml:4: `endpoint[0].validation` is `hope`; expected `verify_signature`, `retrieve_event` or `none`"),
        ("[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\"s\"]\nprovider = \"paddle\"".to_owned(), "signalbox.toml:4: `endpoint[0].provider` is `paddle`; expected one of `stripe`, `standardwebhooks`, `svix`, `github`, `shopify`, `slack`, or the name of a `[[provider]]` that describes it"),
    ];
    for (text, expected) in table {
        assert_eq!(problems(&text, []), [expected], "{text}");
    }
    let twice = format!("{ENDPOINT}{ENDPOINT}");
    let found = problems(&twice, [("STRIPE_WEBHOOK_SECRET", "s")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("is another endpoint's id"), "{found:?}");
}

#[test]
fn all_problems_are_told_in_order() {
    let text =
        "[server]\nlisen = 1\nadmin_listen = 2\n[plugins]\ndir = 3\n[log]\nformat = \"xml\"\n";
    let found = problems(text, [("SIGNALBOX_STORE__PATHS", "x")]);
    let starts =
        ["signalbox.toml:2:", "signalbox.toml:3:", "signalbox.toml:5:", "signalbox.toml:7:"];
    for (problem, start) in found.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    let last = "$SIGNALBOX_STORE__PATHS: unknown key `store.paths`; did you mean `store.path`?";
    assert_eq!(found[4..], [last]);
}

#[test]
fn what_is_no_toml_names_its_line_and_the_rest_is_still_checked() {
    let found = problems("[server\nlisten = \"127.0.0.1:1\"\n[log]\nlevl = 1\n", []);
    assert!(found[0].starts_with("signalbox.toml:1: not TOML:"), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("`log.levl`")), "{found:?}");
    let twice = problems("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", []);
    assert!(twice[0].starts_with("signalbox.toml:3: not TOML:"), "{twice:?}");
}

#[test]
fn a_named_file_must_be_there_and_the_default_one_need_not() {
    let missing = Path::new("/nonexistent/signalbox.toml");
    let error = Config::load(Some(missing), &Environment::default(), &Flags::default());
    assert!(matches!(error.unwrap_err().problems[..], [Problem::Unreadable { .. }]));
    let env = Environment::from([("SIGNALBOX_CONFIG", "/nonexistent/signalbox.toml")]);
    assert!(Config::load(None, &env, &Flags::default()).is_err());
    // Tests run in the package's directory, which holds none.
    let config = Config::load(None, &Environment::default(), &Flags::default()).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.store.path, Path::new("data"));
}

#[test]
fn paths_are_relative_to_whoever_wrote_them() {
    let dir = Dir::with(
        "[store]\npath = \"kept\"\n[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\"file:hush\"]\n",
    );
    fs::write(dir.0.path().join("hush"), "whsec_file\n").unwrap();
    let config = dir.load([("SIGNALBOX_PLUGINS__DIR", "here")]).unwrap();
    assert_eq!(config.store.path, dir.0.path().join("kept"));
    assert_eq!(config.plugins.dir, Path::new("here"));
    assert_eq!(config.endpoints[0].secrets[0].expose(), "whsec_file");
    assert_eq!(config.store.admin_token_file(), dir.0.path().join("kept/admin-token"));
}

#[test]
fn secrets_are_never_shown() {
    let text = "[server]\nadmin_token = \"hush-token-long-enough\"\n[plugin.x.settings]\napi_key = \"hush-key\"\nchannel = \"#a\"\n[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\"hush-literal\", \"env:S\"]\n[[endpoint]]\nid = 1\nsecrets = [\"hush-other\", 7]\n";
    let dir = Dir::with(text);
    let env = Environment::from([("S", "hush-env")]);
    let Reading { config, problems } = Config::read(Some(&dir.file()), &env, &Flags::default());
    assert_eq!(problems.len(), 2, "{problems:?}");
    let shown = format!("{:?} {problems:?} {config:?}", config.entries);
    let settings = "\"api_key\": \"hush-key\"";
    assert!(!shown.replace(settings, "").contains("hush"), "{shown}");
    let listed = config.entries.iter().find(|e| e.key == "endpoint[0].secrets[1]").unwrap();
    let fingerprint = &config.endpoints[0].secrets[1].id().0;
    assert_eq!(listed.value, Some(format!("env:S (fingerprint {fingerprint})")));
}

#[test]
fn a_secret_that_is_rolled_has_an_end() {
    let with = |entry: &str| {
        format!(
            "[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\nsecrets = [\"new\", {entry}]\n"
        )
    };
    for end in ["2027-01-15T08:00:00Z", "\"2027-01-15T08:00:00Z\""] {
        let text = with(&format!("{{ secret = \"old\", not_after = {end} }}"));
        let config = Dir::with(&text).load([]).unwrap();
        let secrets = &config.endpoints[0].secrets;
        assert_eq!(secrets[0].not_after, None);
        assert_eq!(secrets[1].not_after, Some(Timestamp::from_secs(1_800_000_000)));
        assert_eq!(secrets[1].expose(), "old");
        assert!(config.entries.iter().any(|e| {
            e.value.as_ref().is_some_and(|v| v.ends_with("until 2027-01-15T08:00:00.000Z"))
        }));
    }
    for bad in [
        "{ secret = \"old\", after = 1 }",
        "{ not_after = 2027-01-15T08:00:00Z }",
        "{ secret = \"old\", not_after = 2027-01-15 }",
        "{ secret = \"old\", not_after = \"soon\" }",
    ] {
        let found = problems(&with(bad), []);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(
            found[0].starts_with("signalbox.toml:3: `endpoint[0].secrets[1]`")
                && !found[0].contains("old"),
            "{found:?}"
        );
    }
}

#[test]
fn a_client_can_do_with_part_of_a_configuration() {
    let dir = Dir::with(&format!("[server]\nadmin_listen = \"127.0.0.1:9\"\n{ENDPOINT}"));
    let reading = Config::read(Some(&dir.file()), &Environment::default(), &Flags::default());
    assert_eq!(reading.config.server.admin_listen.port(), 9);
    assert!(matches!(&reading.problems[..], [Problem::Secret { .. }]));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "(\\[\\[?[a-z.]{0,8}\\]?\\]\n|[a-z_]{1,8} ?= ?[\"a-z0-9{}\\[\\]., =]{0,20}\n|[ -~]{0,12}\n){0,8}") {
        let dir = Dir::with(&text);
        let _ = dir.load([]);
    }

    #[test]
    fn any_environment_is_read_or_refused(name in "SIGNALBOX_(SERVER|ENDPOINT|PLUGIN|STRIPE|X)(__[A-Z0-9_]{0,6}){0,4}", value in "[ -~]{0,12}") {
        let env = Environment::from([(name.as_str(), value.as_str())]);
        let _ = Config::load(None, &env, &Flags::default());
    }

    #[test]
    fn a_duration_and_a_size_read_back_as_shown(millis in 10_u64..=3_600_000, bytes in (64_u64 << 10)..=(4 << 30)) {
        let text = format!("[plugin.x.limits]\ncpu = \"{millis}ms\"\nmemory = {bytes}\n");
        let first = Dir::with(&text).load([]).unwrap();
        let shown = |key: &str| first.entries.iter().find(|e| e.key == key).unwrap().value.clone().unwrap();
        let again = format!(
            "[plugin.x.limits]\ncpu = \"{}\"\nmemory = \"{}\"\n",
            shown("plugin.x.limits.cpu"),
            shown("plugin.x.limits.memory"),
        );
        let second = Dir::with(&again).load([]).unwrap();
        prop_assert_eq!(&first.plugin, &second.plugin);
        prop_assert_eq!(first.plugin[&"x".parse().unwrap()].limits.memory, bytes);
    }
}
