//! How an endpoint's requests become events.

use super::*;

const ONE: &str = "[[endpoint]]\nid = \"00000000-0000-0000-0000-000000000001\"\n";
const ACCOUNT: &str = "[[stripe.account]]\napi_key = \"sk_test_1\"\n";

#[test]
fn validation_says_what_goes_together() {
    let eu = "[[stripe.account]]\nname = \"eu\"\napi_key = \"sk_test_2\"\n";
    let us = "[[stripe.account]]\nname = \"us\"\napi_key = \"sk_test_3\"\n";
    for (keys, accounts, words) in [
        ("validation = \"none\"", "", "`endpoint[0].validation`: with `none`, whoever knows"),
        ("validation = \"none\"\nlivemode = true", "", "validation_force_unverified = true"),
        ("validation = \"retrieve_event\"", "", "add `[[stripe.account]]` with an `api_key`"),
        (
            "secrets = [\"s\"]\nvalidation_force_unverified = true",
            "",
            "`endpoint[0].validation_force_unverified`: it is for",
        ),
        (
            "secrets = [\"s\"]\naccount = \"defalt\"",
            ACCOUNT,
            "called `defalt` (did you mean `default`?)",
        ),
        ("validation = \"retrieve_event\"", &format!("{eu}{us}"), "name the one that"),
        ("secrets = [\"s\"]\nlivemode = \"yes\"", "", "expected `true` or `false`"),
        ("secrets = [\"s\"]\nconnect = 1", "", "expected `true` or `false`"),
        ("validation = \"verify_signature\"", "", "`endpoint[0].secrets` is missing"),
    ] {
        let found = problems(&format!("{ONE}{keys}\n{accounts}"), []);
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].contains(words), "{keys}: {found:?}");
    }
    for (keys, accounts) in [
        ("validation = \"none\"\nlivemode = false", ""),
        ("validation = \"none\"\nvalidation_force_unverified = true", ""),
        ("validation = \"retrieve_event\"", ACCOUNT),
        ("validation = \"retrieve_event\"", eu),
        ("validation = \"retrieve_event\"\naccount = \"us\"", &format!("{eu}{us}")),
    ] {
        let found = problems(&format!("{ONE}{keys}\n{accounts}"), []);
        assert!(found.is_empty(), "{keys}: {found:?}");
    }
}

#[test]
fn what_is_declared_of_an_endpoint_reaches_it() {
    let text = format!(
        "{ONE}validation = \"retrieve_event\"\naccount = \"default\"\nlivemode = false\nconnect = \
         true\nsecrets = [\"s\"]\n{ACCOUNT}"
    );
    let config = Dir::with(&text).load([]).unwrap();
    let endpoint = config.endpoints[0].to_endpoint(crate::domain::clock::Timestamp::from_secs(5));
    assert_eq!(endpoint.validation, crate::domain::endpoint::Validation::RetrieveEvent);
    assert_eq!((endpoint.livemode, endpoint.connect), (Some(false), Some(true)));
    assert_eq!((endpoint.account.as_deref(), endpoint.secrets.len()), (Some("default"), 1));
}
