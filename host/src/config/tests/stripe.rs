//! `[[stripe.account]]`: what is read, and what is refused.

use std::time::Duration;

use super::{Dir, problems};
use crate::config::Reconcile;
use crate::stripe::{AccountId, Connected, Mode};

#[test]
fn accounts_are_read_with_what_they_are_used_for() {
    let text = r#"
[[stripe.account]]
api_key = "file:key"
id = "acct_1"
connected = ["acct_2", "acct_3"]
[[stripe.account]]
name = "trial"
api_key = "env:TRIAL"
api_base = "http://127.0.0.1:9/stripe/"
connected = "all"
reconcile = false
"#;
    let dir = Dir::with(text);
    std::fs::write(dir.0.path().join("key"), "rk_live_1\n").unwrap();
    let config = dir.load([("TRIAL", "sk_test_1")]).unwrap();
    let account = |name| config.stripe_accounts.get(name).unwrap();
    let (live, trial) = (account("default"), account("trial"));
    let id = |text| AccountId::parse(text).unwrap();
    assert_eq!((live.mode(), live.id.clone()), (Mode::Live, Some(id("acct_1"))));
    assert_eq!(live.api_base.as_str(), "https://api.stripe.com/");
    assert_eq!(live.connected, Connected::Only(vec![id("acct_2"), id("acct_3")]));
    assert_eq!(trial.api_base.as_str(), "http://127.0.0.1:9/stripe");
    assert_eq!((&trial.connected, trial.reconcile), (&Connected::All, false));
    let shown = format!("{config:?}");
    assert!(!shown.contains("rk_live_1") && !shown.contains("sk_test_1"), "{shown}");
}

#[test]
fn mistakes_of_accounts() {
    let one = "[[stripe.account]]\napi_key = \"sk_live_1\"\n";
    let table = [
        (
            "[[stripe.account]]\napi_key = \"pk_live_1\"".to_owned(),
            "signalbox.toml:2: `stripe.account[0].api_key`: it is a publishable key (`pk_`), which may read nothing; take the secret key (`sk_`) or a restricted one (`rk_`)",
        ),
        (
            "[[stripe.account]]\napi_key = \"whsec_1\"".to_owned(),
            "signalbox.toml:2: `stripe.account[0].api_key`: it is a webhook's signing secret (`whsec_`), which belongs into `endpoint.secrets`; take the account's secret key (`sk_`) or a restricted one (`rk_`)",
        ),
        (
            "[[stripe.account]]\nname = \"a\"".to_owned(),
            "signalbox.toml:1: `stripe.account[0].api_key` is missing; expected a secret: `env:NAME`, `file:PATH` or the secret itself",
        ),
        (
            format!("{one}id = \"cus_1\""),
            "signalbox.toml:3: `stripe.account[0].id` is `cus_1`; expected an account's id such as `acct_1Nx2Yz`",
        ),
        (
            format!("{one}connected = [\"acct_1\", \"x\"]"),
            "signalbox.toml:3: `stripe.account[0].connected` is a list; expected `all`, or a list of accounts' ids such as `[\"acct_1Nx2Yz\"]`",
        ),
        (
            format!("{one}reconcile = \"no\""),
            "signalbox.toml:3: `stripe.account[0].reconcile` is `no`; expected `true` or `false`",
        ),
        (
            format!("{one}[[stripe.account]]\napi_key = \"sk_test_1\"\n"),
            "signalbox.toml:3: `stripe.account[1].name`: `default` is another account's name; each needs its own",
        ),
        (
            format!(
                "{one}id = \"acct_1\"\n[[stripe.account]]\nname = \"b\"\napi_key = \"rk_live_2\"\nid = \"acct_1\""
            ),
            "signalbox.toml:4: `stripe.account[1].id`: `b` is acct_1 in live mode, and so is `default`; keep one of them",
        ),
        (
            format!("{one}[[stripe.account]]\nname = \"b\"\napi_key = \"sk_live_1\""),
            "signalbox.toml:3: `stripe.account[1].api_key`: `b` has the key of `default`; keep one of them",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problems(&text, []), [expected], "{text}");
    }
}

#[test]
fn reconciliation_is_on_and_its_times_are_bounded() {
    let config = Dir::with("").load([]).unwrap();
    assert!(config.reconcile.enabled);
    assert_eq!(config.reconcile.first_since, Duration::ZERO);
    let text = "[reconcile]\nenabled = false\ninterval = \"1m\"\noverlap = \"0\"\n";
    let config = Dir::with(text).load([("SIGNALBOX_RECONCILE__GRACE", "0s")]).unwrap();
    let expected = Reconcile {
        enabled: false,
        interval: Duration::from_secs(60),
        overlap: Duration::ZERO,
        grace: Duration::ZERO,
        first_since: Duration::ZERO,
    };
    assert_eq!(config.reconcile, expected);
    let table = [
        ("interval = \"0\"", "`reconcile.interval` is `0`; expected 1s to 1d"),
        ("overlap = \"2d\"", "`reconcile.overlap` is `2d`; expected 0s to 1d"),
        ("grace = \"2h\"", "`reconcile.grace` is `2h`; expected 0s to 1h"),
        ("first_since = \"31d\"", "`reconcile.first_since` is `31d`; expected 0s to 30d"),
    ];
    for (line, expected) in table {
        let found = problems(&format!("[reconcile]\n{line}"), []);
        assert_eq!(found, [format!("signalbox.toml:2: {expected}")]);
    }
}

#[test]
fn what_stripe_lists_must_still_be_known_as_a_duplicate() {
    let text = |store: &str, reconcile: &str, account: &str| {
        format!(
            "[store]\nretain_for = \"7d\"\n{store}\n[reconcile]\n{reconcile}\n\
             [[stripe.account]]\napi_key = \"sk_live_1\"\n{account}\n"
        )
    };
    let told = |known: &str, overlap: &str| {
        format!(
            "signalbox.toml:3: `store.dedupe_for`: {known} is shorter than the 30d for which Stripe \
             lists an event and `reconcile.overlap` ({overlap}): one that is found again would no \
             longer be known as a duplicate, and be handled twice; make it 31d or more, or set \
             `reconcile.enabled = false`"
        )
    };
    let (week, month) = ("dedupe_for = \"7d\"", "dedupe_for = \"30d\"");
    assert_eq!(problems(&text(week, "", ""), []), [told("7d", "10m")]);
    assert_eq!(problems(&text(month, "", ""), []), [told("30d", "10m")]);
    assert_eq!(problems(&text(month, "overlap = \"1d\"", ""), []), [told("30d", "1d")]);
    for good in [
        text(month, "overlap = \"0s\"", ""),
        text("dedupe_for = \"31d\"", "overlap = \"1d\"", ""),
        // Nothing is looked for.
        text(week, "enabled = false", ""),
        text(week, "", "reconcile = false"),
        "[store]\nretain_for = \"7d\"\ndedupe_for = \"7d\"\n".to_owned(),
        // As it is by default.
        text("", "", ""),
    ] {
        assert_eq!(problems(&good, []), Vec::<String>::new(), "{good}");
    }
}
