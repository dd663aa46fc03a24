//! `[[provider]]` and the endpoints that name one.

use super::*;
use crate::provider::Provider as _;

const ACME: &str = r#"
[[provider]]
name = "acme"
header = "X-Acme-Signature"
algorithm = "sha512"
encoding = "base64"
prefix = "v1="
separator = ","
signed = "{timestamp}.{body}"
timestamp = "X-Acme-Time"
id = "header:X-Acme-Id"
type = "json:/event"
object = "json:/data/id"
"#;

#[test]
fn a_described_provider_can_be_an_endpoints() {
    let text = format!("{ACME}\n{}", ENDPOINT.replace("\"stripe\"", "\"acme\""));
    let config = Dir::with(&text).load([("STRIPE_WEBHOOK_SECRET", "s")]).unwrap();
    assert_eq!(config.endpoints[0].provider, "acme");
    assert_eq!(config.providers[0].name(), "acme");
    let shown = |key: &str| {
        let entry = config.entries.iter().find(|entry| entry.key == key).unwrap();
        entry.value.clone().unwrap_or_default()
    };
    assert_eq!(shown("provider[0].header"), "x-acme-signature");
    assert_eq!(shown("provider[0].signed"), "{timestamp}.{body}");
    assert_eq!(shown("provider[0].algorithm"), "sha512");
    assert_eq!(shown("provider[0].type"), "json:/event");
}

#[test]
fn every_provider_of_the_build_can_be_an_endpoints() {
    for name in crate::provider::BUILT_IN {
        let text = ENDPOINT.replace("\"stripe\"", &format!("{name:?}"));
        assert!(
            problems(&text, [("STRIPE_WEBHOOK_SECRET", "whsec_c2VjcmV0")]).is_empty(),
            "{name}"
        );
    }
    let text = ENDPOINT.replace("\"stripe\"", "\"gihub\"");
    let told = problems(&text, [("STRIPE_WEBHOOK_SECRET", "s")]).join("\n");
    assert!(told.contains("`github`") && told.contains("[[provider]]"), "{told}");
}

#[test]
fn what_proves_less_than_it_says_or_has_a_name_in_use_is_refused() {
    let told = |from: &str, to: &str| problems(&ACME.replace(from, to), []).join("\n");
    for (from, to, part) in [
        ("name = \"acme\"", "name = \"github\"", "built in"),
        ("name = \"acme\"", "name = \"signalbox\"", "built in"),
        ("name = \"acme\"", "name = \"Acme.com\"", "lower-case"),
        ("header = \"X-Acme-Signature\"", "", "provider[0].header"),
        ("{timestamp}.{body}", "{body}", "proves nothing"),
        ("timestamp = \"X-Acme-Time\"", "", "name its header"),
        ("{timestamp}.{body}", "{timestamp}", "{body} once"),
        ("sha512", "md5", "`sha256`"),
        ("json:/event", "event", "header:x-event-id"),
        ("prefix", "prefiks", "prefix"),
    ] {
        let told = told(from, to);
        assert!(told.contains(part), "{to}: {told}");
    }
    let twice = problems(&format!("{ACME}{ACME}"), []).join("\n");
    assert!(twice.contains("another provider has this name"), "{twice}");
}

#[test]
fn a_secret_that_could_prove_nothing_is_told_with_its_endpoint() {
    let text = ENDPOINT.replace("\"stripe\"", "\"svix\"");
    let told = problems(&text, [("STRIPE_WEBHOOK_SECRET", "hush!!")]).join("\n");
    assert!(told.contains("endpoint[0].secrets") && told.contains("whsec_"), "{told}");
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn proxies_aliases_and_the_share_of_a_refused_body() {
    let text = "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"127.0.0.1\"]\n\
                aliases = [\"/stripe/webhook/{uuid}\"]\nlimits = { refused_body = \"16KiB\" }";
    let server = Dir::with(text).load([]).unwrap().server;
    assert_eq!(server.trusted_proxies[1].to_string(), "127.0.0.1/32");
    assert_eq!(server.aliases[0].to_string(), "/stripe/webhook/{uuid}/");
    assert_eq!(server.limits.refused_body, 16 << 10);
    let default = Dir::with("").load([]).unwrap().server;
    assert!(default.trusted_proxies.is_empty() && default.aliases.is_empty());
    assert_eq!(default.limits.refused_body, 4 << 10);
    for (bad, part) in [
        ("trusted_proxies = [\"proxy\"]", "10.1.0.0/16"),
        ("aliases = [\"/stripe/webhook/\"]", "{uuid}"),
        ("limits = { refused_body = \"2MiB\" }", "1MiB"),
    ] {
        let told = problems(&format!("[server]\n{bad}"), []).join("\n");
        assert!(told.contains(part), "{bad}: {told}");
    }
}
