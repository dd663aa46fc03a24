//! What is asked of an endpoint at Stripe, checked before Stripe is called.
//!
//! Pure. What passes here is what Stripe's documentation allows; Stripe's own word is still the
//! last one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::{Host, Url};

use crate::domain::address::classify;
use crate::domain::endpoint::{AtProvider, EndpointId};
use crate::domain::pattern::TypePattern;
use crate::provider::stripe::EVENT_TYPES;

/// Most keys of metadata, as at Stripe; one of them is signalbox's own.
pub const MAX_METADATA: usize = 50;
/// Longest key of metadata in characters, as at Stripe.
pub const MAX_METADATA_KEY: usize = 40;
/// Longest value of metadata in characters, as at Stripe.
pub const MAX_METADATA_VALUE: usize = 500;
/// Longest description in bytes: it is for a line in a list.
pub const MAX_DESCRIPTION: usize = 1_000;
/// Longest URL in bytes; beyond it, servers and proxies begin to refuse.
pub const MAX_URL: usize = 2_000;

/// The key of metadata that names an endpoint of signalbox.
pub const OWN_KEY: &str = "signalbox_uuid";
/// The key by which dj-stripe names its own.
pub const DJSTRIPE_KEY: &str = "djstripe_uuid";

/// What is wrong, and at which parameter. Stripe was not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unfit {
    /// The parameter, e.g. `enabled_events[1]`.
    pub param: String,
    /// Cause and remedy.
    pub message: String,
}

pub(super) fn unfit(param: impl Into<String>, message: impl Into<String>) -> Unfit {
    Unfit { param: param.into(), message: message.into() }
}

/// The fields of an endpoint at Stripe that the operator chooses. `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// How the world reaches this host; `server.public_url` where nothing is said.
    pub base_url: Option<String>,
    /// Event types, patterns over them, or `*`.
    pub enabled_events: Option<Vec<String>>,
    /// Types newer than the list of this build.
    pub allow_unknown_events: Vec<String>,
    /// Version of the API that shapes its events.
    pub api_version: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The operator's own facts.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Fields {
    /// What is kept of a new endpoint of this id.
    ///
    /// # Errors
    /// [`Unfit`], with the parameter.
    pub(super) fn check(
        &self,
        id: EndpointId,
        public_url: Option<&str>,
        live: bool,
    ) -> Result<AtProvider, Unfit> {
        let Some(wanted) = &self.enabled_events else {
            return Err(unfit(
                "enabled_events",
                "which events are wanted must be said: a list of event types, of patterns such as \
                 `charge.*`, or `*` for all",
            ));
        };
        check_description(self.description.as_deref())?;
        Ok(AtProvider {
            id: None,
            url: webhook_url(self.base_url.as_deref().or(public_url), id, live)?,
            enabled_events: expand(wanted, &self.allow_unknown_events)?,
            api_version: self.api_version.as_deref().map(api_version).transpose()?,
            metadata: check_metadata(self.metadata.clone().unwrap_or_default())?,
            retiring: Vec::new(),
        })
    }

    /// `before` as these fields change it.
    ///
    /// # Errors
    /// [`Unfit`], with the parameter.
    pub(super) fn change(
        &self,
        id: EndpointId,
        before: &AtProvider,
        live: bool,
    ) -> Result<AtProvider, Unfit> {
        if self.api_version.is_some() && self.api_version != before.api_version {
            return Err(unfit(
                "api_version",
                "Stripe does not change the API version of an endpoint; make a new endpoint with it \
                 and delete this one",
            ));
        }
        check_description(self.description.as_deref())?;
        let mut after = before.clone();
        if let Some(base) = &self.base_url {
            after.url = webhook_url(Some(base), id, live)?;
        }
        if let Some(wanted) = &self.enabled_events {
            after.enabled_events = expand(wanted, &self.allow_unknown_events)?;
        }
        // As at Stripe: what is not named stays, and empty text takes a key away.
        for (key, value) in self.metadata.iter().flatten() {
            if value.is_empty() {
                after.metadata.remove(key);
            } else {
                after.metadata.insert(key.clone(), value.clone());
            }
        }
        after.metadata = check_metadata(after.metadata)?;
        Ok(after)
    }
}

pub(super) fn check_description(text: Option<&str>) -> Result<(), Unfit> {
    if text.is_some_and(|text| text.len() > MAX_DESCRIPTION) {
        let message = format!("it is longer than {MAX_DESCRIPTION} bytes");
        return Err(unfit("description", message));
    }
    Ok(())
}

/// What to do where the world cannot reach this host.
const LOCAL: &str = "Stripe could not reach it. For local development, have events handed on to \
    this host: `stripe listen --forward-to` of Stripe's CLI (its secret is the endpoint's), or a \
    tunnel with a public https URL as `base_url`";

/// Names below these are nobody's in the public DNS.
const PRIVATE_NAMES: [&str; 9] =
    ["localhost", "local", "internal", "intranet", "lan", "home.arpa", "test", "invalid", "onion"];

/// Where Stripe is to post to.
fn webhook_url(base: Option<&str>, id: EndpointId, live: bool) -> Result<String, Unfit> {
    let bad = |message: String| unfit("base_url", message);
    let base = base.ok_or_else(|| {
        bad("nothing says how the world reaches this host; set `server.public_url`, or give a \
             `base_url`"
            .to_owned())
    })?;
    let url = Url::parse(base.trim()).map_err(|error| {
        bad(format!("`{base}` is no URL: {error}; e.g. https://hooks.example.com"))
    })?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        let wish = "it must be an `https` URL without user, query or fragment";
        return Err(bad(format!("`{base}`: {wish}")));
    }
    match url.host() {
        None => return Err(bad(format!("`{base}` names no host"))),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let below = |end: &str| name == end || name.ends_with(&format!(".{end}"));
            if !name.contains('.') || PRIVATE_NAMES.into_iter().any(below) {
                let message = format!("`{name}` is a name of this machine or network; {LOCAL}");
                return Err(bad(message));
            }
        }
        Some(Host::Ipv4(address)) => public(address.into())?,
        Some(Host::Ipv6(address)) => public(address.into())?,
    }
    if live && url.scheme() != "https" {
        let message = "Stripe posts live events to https alone; put a proxy that ends TLS before \
                       this host and give its https URL";
        return Err(bad(message.to_owned()));
    }
    let url = format!("{}/webhooks/{id}", url.as_str().trim_end_matches('/'));
    if url.len() > MAX_URL {
        return Err(bad(format!("the URL has more than {MAX_URL} bytes; take a shorter one")));
    }
    Ok(url)
}

fn public(address: IpAddr) -> Result<(), Unfit> {
    match classify(address.to_canonical()) {
        None => Ok(()),
        Some(class) => Err(unfit("base_url", format!("{address} is {class}; {LOCAL}"))),
    }
}

/// The types that are meant: what is no pattern as it stands, patterns as the types of the list
/// below them, for Stripe takes none but `*`.
fn expand(wanted: &[String], newer: &[String]) -> Result<Vec<String>, Unfit> {
    let mut types: Vec<String> = Vec::new();
    for (at, text) in wanted.iter().enumerate() {
        let param = format!("enabled_events[{at}]");
        let pattern: TypePattern =
            text.parse().map_err(|error: crate::domain::pattern::PatternError| {
                unfit(&param, error.to_string())
            })?;
        let known: Vec<&str> = match &pattern {
            TypePattern::Any => vec!["*"],
            TypePattern::Exact(kind) if newer.contains(kind) => vec![kind],
            TypePattern::Exact(_) | TypePattern::Below(_) => {
                EVENT_TYPES.lines().filter(|kind| pattern.matches(kind)).collect()
            }
        };
        if known.is_empty() {
            return Err(unfit(param, unknown(text, &pattern)));
        }
        for kind in known {
            if !types.iter().any(|have| have == kind) {
                types.push(kind.to_owned());
            }
        }
    }
    if let Some(odd) = newer.iter().find(|name| !wanted.contains(name)) {
        let message = format!("`{odd}` is not among `enabled_events`; name it there too");
        return Err(unfit("allow_unknown_events", message));
    }
    if types.is_empty() {
        let message = "no event is named; name event types, or `*` for all";
        return Err(unfit("enabled_events", message));
    }
    Ok(types)
}

fn unknown(text: &str, pattern: &TypePattern) -> String {
    /// Below this (Jaro-Winkler) a suggestion misleads more often than it helps.
    const ALIKE: f64 = 0.85;
    let alike = |kind: &'static str| (strsim::jaro_winkler(text, kind), kind);
    let best = EVENT_TYPES.lines().map(alike).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match best {
        Some((score, kind)) if score >= ALIKE => format!("; did you mean `{kind}`?"),
        _ => String::new(),
    };
    match pattern {
        TypePattern::Exact(_) => format!(
            "`{text}` is no event type that this version knows{hint}; if Stripe has it since, allow \
             it by name (`allow_unknown_events`, `--allow-unknown-event {text}`)"
        ),
        _ => format!("no event type that this version knows is below `{text}`{hint}"),
    }
}

/// `2025-03-31.basil`, or a date alone as versions were named before.
fn api_version(text: &str) -> Result<String, Unfit> {
    let (date, name) = text.split_once('.').map_or((text, None), |(date, name)| (date, Some(name)));
    let numbers: Vec<&str> = date.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
    };
    let dated = match numbers.as_slice() {
        [year, month, day] => {
            number(year, 4).is_some_and(|year| year >= 2011)
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    };
    let named = name.is_none_or(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    if dated && named {
        return Ok(text.to_owned());
    }
    let message = format!("`{text}` is no API version of Stripe's; e.g. `2025-03-31.basil`");
    Err(unfit("api_version", message))
}

fn check_metadata(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Unfit> {
    if metadata.len() >= MAX_METADATA {
        let message = format!(
            "Stripe keeps {MAX_METADATA} keys, and one of them is signalbox's own; leave some out"
        );
        return Err(unfit("metadata", message));
    }
    for (key, value) in &metadata {
        let bad = |message: String| Err(unfit(format!("metadata[{key}]"), message));
        if key == OWN_KEY || key == DJSTRIPE_KEY {
            return bad(format!(
                "`{key}` says which endpoint it is and is not the operator's to set"
            ));
        }
        if key.is_empty() || key.chars().count() > MAX_METADATA_KEY || key.contains(['[', ']']) {
            return bad(format!("a key has 1 to {MAX_METADATA_KEY} characters and no brackets"));
        }
        if value.is_empty() || value.chars().count() > MAX_METADATA_VALUE {
            return bad(format!("a value has 1 to {MAX_METADATA_VALUE} characters"));
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EndpointId = EndpointId(uuid::Uuid::from_u128(7));

    fn fields(change: impl FnOnce(&mut Fields)) -> Fields {
        let mut fields = Fields {
            base_url: Some("https://hooks.example.com".into()),
            enabled_events: Some(vec!["charge.succeeded".into()]),
            ..Fields::default()
        };
        change(&mut fields);
        fields
    }

    fn refused(live: bool, change: impl FnOnce(&mut Fields)) -> Unfit {
        fields(change).check(ID, None, live).unwrap_err()
    }

    #[test]
    fn the_url_is_the_base_and_the_uuid() {
        let url = |base: &str| {
            fields(|f| f.base_url = Some(base.into())).check(ID, None, false).map(|there| there.url)
        };
        let tail = format!("/webhooks/{ID}");
        for (base, url_base) in [
            ("https://hooks.example.com/", "https://hooks.example.com"),
            ("https://example.com:8443/in/", "https://example.com:8443/in"),
            ("http://hooks.example.com", "http://hooks.example.com"),
            ("https://8.8.8.8", "https://8.8.8.8"),
        ] {
            assert_eq!(url(base).unwrap(), format!("{url_base}{tail}"), "{base}");
        }
        let prefilled =
            fields(|f| f.base_url = None).check(ID, Some("https://a.example.com"), true);
        assert_eq!(prefilled.unwrap().url, format!("https://a.example.com{tail}"));
        let none = refused(false, |f| f.base_url = None);
        assert!(none.message.contains("server.public_url"), "{none}");
    }

    #[test]
    fn what_stripe_could_not_reach_is_refused_with_what_to_do_instead() {
        for base in [
            "http://localhost:4242",
            "https://localhost",
            "https://app.localhost",
            "https://127.0.0.1",
            "https://127.1",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://10.1.2.3",
            "https://172.16.0.1",
            "https://192.168.1.9",
            "https://169.254.1.1",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://0.0.0.0",
            "https://printer.local",
            "https://printer.local.",
            "https://hooks",
            "https://hooks.corp.internal",
        ] {
            let unfit = refused(false, |f| f.base_url = Some(base.into()));
            assert_eq!(unfit.param, "base_url", "{base}");
            assert!(unfit.message.contains("stripe listen --forward-to"), "{base}: {unfit}");
        }
        for base in
            ["ftp://a.example.com", "https://u@a.example.com", "https://a.example.com?x", "a b"]
        {
            assert_eq!(
                refused(false, |f| f.base_url = Some(base.into())).param,
                "base_url",
                "{base}"
            );
        }
        let plain = refused(true, |f| f.base_url = Some("http://hooks.example.com".into()));
        assert!(plain.message.contains("https alone"), "{plain}");
    }

    #[test]
    fn events_are_known_expanded_or_allowed_by_name() {
        let expanded = |events: &[&str], newer: &[&str]| {
            let fields = fields(|f| {
                f.enabled_events = Some(events.iter().map(ToString::to_string).collect());
                f.allow_unknown_events = newer.iter().map(ToString::to_string).collect();
            });
            fields.check(ID, None, false).map(|there| there.enabled_events)
        };
        assert_eq!(expanded(&["*"], &[]).unwrap(), ["*"]);
        let charges = expanded(&["charge.*", "charge.failed"], &[]).unwrap();
        assert!(charges.len() > 10 && charges.contains(&"charge.dispute.created".to_owned()));
        assert_eq!(charges.iter().filter(|kind| *kind == "charge.failed").count(), 1);
        let wrong = expanded(&["charge.failed", "charge.suceeded"], &[]).unwrap_err();
        assert_eq!(wrong.param, "enabled_events[1]");
        assert!(wrong.message.contains("did you mean `charge.succeeded`?"), "{wrong}");
        assert!(wrong.message.contains("--allow-unknown-event charge.suceeded"), "{wrong}");
        assert_eq!(expanded(&["moon.risen"], &["moon.risen"]).unwrap(), ["moon.risen"]);
        assert_eq!(expanded(&["*"], &["moon.risen"]).unwrap_err().param, "allow_unknown_events");
        for bad in [&["moon.*"][..], &["charge*"], &[""], &[]] {
            assert!(expanded(bad, &[]).unwrap_err().param.starts_with("enabled_events"), "{bad:?}");
        }
        assert_eq!(refused(false, |f| f.enabled_events = None).param, "enabled_events");
    }

    #[test]
    fn versions_and_metadata_are_as_stripe_has_them() {
        let version =
            |text: &str| fields(|f| f.api_version = Some(text.into())).check(ID, None, false);
        for good in ["2025-03-31.basil", "2020-08-27", "2025-04-30.preview"] {
            assert_eq!(version(good).unwrap().api_version.as_deref(), Some(good));
        }
        for bad in [
            "",
            "latest",
            "2025-13-01",
            "2025-3-31",
            "2025-03-31.",
            "2025-03-31.Basil",
            "1999-01-01",
        ] {
            assert_eq!(version(bad).unwrap_err().param, "api_version", "{bad}");
        }
        let metadata = |pairs: Vec<(String, String)>| {
            let fields = fields(|f| f.metadata = Some(pairs.into_iter().collect()));
            fields.check(ID, None, false).map(|there| there.metadata.len())
        };
        let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        let many = |n: usize| (0..n).map(|n| (n.to_string(), "x".to_owned())).collect::<Vec<_>>();
        assert_eq!(metadata(many(MAX_METADATA - 1)), Ok(MAX_METADATA - 1));
        assert_eq!(metadata(many(MAX_METADATA)).unwrap_err().param, "metadata");
        assert_eq!(metadata(pair(&"\u{e4}".repeat(40), &"\u{e4}".repeat(500))), Ok(1));
        for (key, value) in [
            ("k".repeat(41), "v".to_owned()),
            ("k".to_owned(), "v".repeat(501)),
            ("a[b]".to_owned(), "v".to_owned()),
            (OWN_KEY.to_owned(), "v".to_owned()),
            ("k".to_owned(), String::new()),
        ] {
            assert!(metadata(pair(&key, &value)).unwrap_err().param.starts_with("metadata["));
        }
        let long = refused(false, |f| f.description = Some("d".repeat(MAX_DESCRIPTION + 1)));
        assert_eq!(long.param, "description");
    }
}
