//! What is configured of deliveries, effects and secrets.

use std::time::Duration;

use super::{Dir, problems};
use crate::domain::delivery::Order;

const WHOLE: &str = r#"
[secret]
SLACK = "env:SLACK"
[outbox]
allow_networks = ["10.1.0.0/16", "127.0.0.1"]
timeout = "5s"
attempts = 3
[dispatch]
attempts = 9
[plugin.a]
ordering = "object"
head_of_line = "skip-after 3"
concurrency = 2
pause_after = 0
retry = { first_wait = "1s", longest_wait = "2m" }
grants = [{ capability = "outbox.http", scope = "POST https://a.com/*", secrets = ["SLACK"] }]
[plugin.b]
grants = [{ capability = "outbox.emit", scope = "*", secrets = [] }]
"#;

#[test]
fn plugins_outbox_and_secrets_are_read() {
    let config = Dir::with(WHOLE).load([("SLACK", "s3cr3t")]).unwrap();
    let (a, b) = (&config.plugin[&"a".parse().unwrap()], &config.plugin[&"b".parse().unwrap()]);
    let order = Order::Object { skip_after: Some(3) };
    assert_eq!((a.order, a.delivery.order), (Some(order), order));
    assert_eq!((a.delivery.concurrency, a.delivery.pause_after), (Some(2), 0));
    assert_eq!(a.delivery.backoff.first, Duration::from_secs(1));
    assert_eq!(a.delivery.backoff.attempts, 9, "from [dispatch]");
    assert_eq!((b.order, b.delivery.concurrency), (None, None));
    assert_eq!(config.outbox.allow_networks[1].to_string(), "127.0.0.1/32");
    assert_eq!(config.outbox.backoff.attempts, 3);
    assert_eq!(config.secrets["SLACK"].expose(), "s3cr3t");
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn the_mirror_is_on_unless_it_is_switched_off() {
    let enabled = |text: &str| Dir::with(text).load([]).unwrap().mirror.enabled;
    assert!(enabled("") && enabled("[mirror]\nenabled = true"));
    assert!(!enabled("[mirror]\nenabled = false"));
    let off = Dir::with("").load([("SIGNALBOX_MIRROR__ENABLED", "false")]).unwrap();
    assert!(!off.mirror.enabled);
    let interval = |text: &str| Dir::with(text).load([]).unwrap().mirror.refetch_interval.as_secs();
    assert_eq!(interval(""), 30);
    assert_eq!(interval("[mirror]\nrefetch_interval = \"0\""), 0);
    assert_eq!(interval("[mirror]\nrefetch_interval = \"5m\""), 300);
    let told = problems("[mirror]\nrefetch_interval = \"2d\"", []);
    assert!(told[0].contains("`mirror.refetch_interval` is `2d`; expected 0s to 1d"), "{told:?}");
    let told = problems("[mirror]\nenabled = \"yes\"", []);
    assert!(
        told[0].contains("`mirror.enabled`") && told[0].contains("`true` or `false`"),
        "{told:?}"
    );
}

#[test]
fn each_mistake_names_key_value_expectation_and_place() {
    let table = [
        (
            "[plugin.x]\nordering = \"strict\"",
            "signalbox.toml:2: `plugin.x.ordering` is `strict`; expected `object` (deliveries about one object one after another) or `none`",
        ),
        (
            "[plugin.x]\nhead_of_line = \"skip-after 0\"",
            "signalbox.toml:2: `plugin.x.head_of_line` is `skip-after 0`; expected `block`, or `skip-after N` with a whole number from 1",
        ),
        (
            "[plugin.x]\nordering = \"none\"\nhead_of_line = \"skip-after 2\"",
            "signalbox.toml:3: `plugin.x.head_of_line`: nothing waits behind another with `ordering = \"none\"`; leave one of them out",
        ),
        (
            "[plugin.x]\nconcurrency = 0",
            "signalbox.toml:2: `plugin.x.concurrency` is `0` (without quotes); expected 1 to 10000, or `unlimited`",
        ),
        (
            "[plugin.x.retry]\nfirst_wait = \"2h\"",
            "signalbox.toml:2: `plugin.x.retry.first_wait`: it is longer than `plugin.x.retry.longest_wait` (1h)",
        ),
        (
            "[outbox]\nallow_networks = [\"localhost\"]",
            "signalbox.toml:2: `outbox.allow_networks[0]` is `localhost`; expected a network such as `10.1.0.0/16` or `fd00::/8`",
        ),
        (
            "[secret]\n\"a b\" = \"x\"",
            "signalbox.toml:2: `secret.a b`: a secret's name is letters, digits, `_` and `-`",
        ),
        (
            "[secret]\na = \"env:NONE\"",
            "signalbox.toml:2: `secret.a`: the environment variable `NONE` is not set; set it, or refer to a file (`file:PATH`)",
        ),
        (
            "[plugin.x]\ngrants = [{ capability = \"outbox.http\", scope = \"POST https://a.com/*\", secrets = [\"b\"] }]",
            "signalbox.toml:2: `plugin.x.grants[0].secrets`: there is no secret `b`; add it as `secret.b`",
        ),
        (
            "[plugin.x]\ngrants = [{ capability = \"outbox.http\", scope = \"a.com\" }]",
            "signalbox.toml:2: `plugin.x.grants[0].scope`: `a.com` is no scope of `outbox.http`: it has no method before the URL; write `POST https://hooks.example.com/path/*`",
        ),
        (
            "[plugin.x]\ngrants = [{ capability = \"outbox.smtp\", scope = \"*\" }]",
            "signalbox.toml:2: `plugin.x.grants[0].scope`: `outbox.smtp` is no capability of this version; there are `outbox.http`, `outbox.emit` and `objects`",
        ),
        (
            "[plugin.x]\ngrants = [{ capability = \"objects\", scope = \"customer\" }]",
            "signalbox.toml:2: `plugin.x.grants[0].scope`: `customer` is no scope of `objects`: it is not a provider and a kind; write `stripe customer` or `stripe *`",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problems(text, []), [expected], "{text}");
    }
}
