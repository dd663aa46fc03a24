//! Capabilities: what a plugin asks for, what the operator grants, and whether the one covers the
//! other.
//!
//! Everything is denied that no grant covers. Pure: addresses behind a host's name are judged when a
//! request is sent (`outbox`).

mod objects;

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use super::pattern::TypePattern;
use super::plugin::CapabilityRequest;

pub use objects::ObjectScope;

/// The capability to send HTTP requests.
pub const HTTP: &str = "outbox.http";
/// The capability to emit events.
pub const EMIT: &str = "outbox.emit";
/// The capability to read mirrored objects.
pub const OBJECTS: &str = "objects";
/// The capability to have a secret put into a request.
pub const SECRET: &str = "secret";

/// HTTP requests of one method (or any) to one place: `POST https://hooks.slack.com/services/*`.
///
/// The host is exact, or `*.` stands for one or more names before it, or `*` for every host. The
/// path is exact, or `*` at its end stands for everything that follows. Queries are not looked at.
/// `http` instead of `https` has to be written out, and the network allowed (`outbox.allow_networks`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpScope {
    /// `None`: any.
    method: Option<String>,
    scheme: String,
    host: HostScope,
    port: u16,
    path: String,
    /// Whether the path goes on.
    open: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum HostScope {
    Any,
    Below(String),
    Exact(String),
}

/// What an operator granted a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grant {
    /// `outbox.http`
    Http {
        /// Which requests.
        scope: HttpScope,
        /// Names of the secrets that may be put into them.
        secrets: Vec<String>,
    },
    /// `outbox.emit`: events of these types.
    Emit(TypePattern),
    /// `objects`: mirrored objects of these kinds.
    Objects(ObjectScope),
}

/// Why a scope or a grant cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not known to this version.
    #[error(
        "`{0}` is no capability of this version; there are `outbox.http`, `outbox.emit` and `objects`"
    )]
    Capability(String),
    /// The scope of `outbox.http`.
    #[error(
        "`{scope}` is no scope of `outbox.http`: {cause}; write `POST https://hooks.example.com/path/*`"
    )]
    Http {
        /// The text.
        scope: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// The scope of `outbox.emit`.
    #[error("`{scope}` is no scope of `outbox.emit`: {cause}")]
    Emit {
        /// The text.
        scope: String,
        /// What is wrong.
        cause: String,
    },
    /// The scope of `objects`.
    #[error("`{scope}` is no scope of `objects`: {cause}; write `stripe customer` or `stripe *`")]
    Objects {
        /// The text.
        scope: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// Secrets with a capability that sends nothing.
    #[error("`secrets` belong to grants of `outbox.http` alone")]
    Secrets,
}

impl Grant {
    /// Read a grant as it is written in the configuration.
    ///
    /// # Errors
    /// What cannot be read, and how it is written.
    pub fn parse(capability: &str, scope: &str, secrets: Vec<String>) -> Result<Self, GrantError> {
        match capability {
            HTTP => Ok(Self::Http { scope: scope.parse()?, secrets }),
            EMIT if secrets.is_empty() => Ok(Self::Emit(emit_scope(scope)?)),
            OBJECTS if secrets.is_empty() => Ok(Self::Objects(scope.parse()?)),
            EMIT | OBJECTS => Err(GrantError::Secrets),
            other => Err(GrantError::Capability(other.to_owned())),
        }
    }

    /// As the admin API shows it.
    #[must_use]
    pub fn shown(&self) -> CapabilityRequest {
        let (capability, scope) = match self {
            Self::Http { scope, secrets } if secrets.is_empty() => (HTTP, scope.to_string()),
            Self::Http { scope, secrets } => {
                (HTTP, format!("{scope} (with secrets {})", secrets.join(", ")))
            }
            Self::Emit(kind) => (EMIT, kind.to_string()),
            Self::Objects(scope) => (OBJECTS, scope.to_string()),
        };
        CapabilityRequest { capability: capability.to_owned(), scope }
    }
}

fn emit_scope(scope: &str) -> Result<TypePattern, GrantError> {
    let error = |cause: super::pattern::PatternError| GrantError::Emit {
        scope: scope.to_owned(),
        cause: cause.to_string(),
    };
    scope.parse().map_err(error)
}

/// What a plugin asks for that no grant covers.
///
/// # Errors
/// A request that cannot be read covers nothing and is covered by nothing: it is told apart.
pub fn uncovered(
    requests: &[CapabilityRequest],
    grants: &[Grant],
) -> Result<Vec<CapabilityRequest>, GrantError> {
    let mut missing = Vec::new();
    for request in requests {
        let covered = match request.capability.as_str() {
            HTTP => {
                let wanted: HttpScope = request.scope.parse()?;
                grants
                    .iter()
                    .any(|g| matches!(g, Grant::Http { scope, .. } if scope.covers(&wanted)))
            }
            EMIT => {
                let wanted = emit_scope(&request.scope)?;
                grants.iter().any(|g| matches!(g, Grant::Emit(kinds) if kinds.covers(&wanted)))
            }
            OBJECTS => {
                let wanted: ObjectScope = request.scope.parse()?;
                grants.iter().any(|g| matches!(g, Grant::Objects(scope) if scope.covers(&wanted)))
            }
            SECRET => secret_granted(&request.scope, grants),
            // A capability of a later version: this one cannot grant it.
            _ => false,
        };
        if !covered {
            missing.push(request.clone());
        }
    }
    Ok(missing)
}

fn secret_granted(name: &str, grants: &[Grant]) -> bool {
    grants.iter().any(
        |grant| matches!(grant, Grant::Http { secrets, .. } if secrets.iter().any(|s| s == name)),
    )
}

/// Whether a grant covers this request, with all these secrets in it.
///
/// # Errors
/// The grant that is missing, as it would be written.
pub fn allows_http(
    grants: &[Grant],
    method: &str,
    url: &Url,
    secrets: &[&str],
) -> Result<(), String> {
    let mut reached = false;
    for grant in grants {
        let Grant::Http { scope, secrets: named } = grant else { continue };
        if !scope.allows(method, url) {
            continue;
        }
        reached = true;
        if secrets.iter().all(|secret| named.iter().any(|name| name == secret)) {
            return Ok(());
        }
    }
    let place = format!("{}{}", url.origin().ascii_serialization(), url.path());
    Err(if reached {
        let names = secrets.join("`, `");
        format!("the grant of {HTTP} for `{method} {place}` does not name the secret `{names}`")
    } else {
        format!("{HTTP} `{method} {place}`")
    })
}

/// Whether a grant covers emitting events of this type.
///
/// # Errors
/// The grant that is missing, as it would be written.
pub fn allows_emit(grants: &[Grant], kind: &str) -> Result<(), String> {
    let covered = grants.iter().any(|g| matches!(g, Grant::Emit(kinds) if kinds.matches(kind)));
    if covered { Ok(()) } else { Err(format!("{EMIT} `{kind}`")) }
}

/// Whether a grant covers reading objects of this kind.
#[must_use]
pub fn allows_objects(grants: &[Grant], provider: &str, kind: &str) -> bool {
    grants.iter().any(|g| matches!(g, Grant::Objects(scope) if scope.allows(provider, kind)))
}

impl HttpScope {
    /// Whether every request in `other` is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let method = self.method.is_none() || self.method == other.method;
        let host = match (&self.host, &other.host) {
            (HostScope::Any, _) => true,
            (HostScope::Below(own), HostScope::Below(host)) => host == own || is_below(host, own),
            (HostScope::Below(own), HostScope::Exact(host)) => is_below(host, own),
            (HostScope::Exact(own), HostScope::Exact(host)) => own == host,
            (_, _) => false,
        };
        let path = if self.open {
            other.path.starts_with(&self.path)
        } else {
            !other.open && self.path == other.path
        };
        method && self.scheme == other.scheme && self.port == other.port && host && path
    }

    /// Whether this request is in it. One with a user or a password in its URL never is.
    #[must_use]
    pub fn allows(&self, method: &str, url: &Url) -> bool {
        let host = match url.host() {
            None => return false,
            Some(Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
            Some(address) => address.to_string(),
        };
        let host = match &self.host {
            HostScope::Any => true,
            HostScope::Below(own) => is_below(&host, own),
            HostScope::Exact(own) => *own == host,
        };
        let path =
            if self.open { url.path().starts_with(&self.path) } else { url.path() == self.path };
        self.method.as_deref().is_none_or(|own| own == method)
            && url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && url.username().is_empty()
            && url.password().is_none()
            && host
            && path
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for HttpScope {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let error = |cause| GrantError::Http { scope: text.to_owned(), cause };
        let (method, place) =
            text.trim().split_once(' ').ok_or_else(|| error("it has no method before the URL"))?;
        let method = match method {
            "*" => None,
            name if name.bytes().all(|b| b.is_ascii_uppercase()) => Some(name.to_owned()),
            _ => return Err(error("its method is not upper-case letters or `*`")),
        };
        let (scheme, rest) = place
            .trim()
            .split_once("://")
            .ok_or_else(|| error("its URL does not begin with `https://`"))?;
        if !matches!(scheme, "https" | "http") {
            return Err(error("its URL does not begin with `https://`"));
        }
        let (authority, path) = rest
            .find('/')
            .and_then(|at| rest.split_at_checked(at))
            .ok_or_else(|| error("its URL has no path; end it in `/*` for the whole host"))?;
        let (path, open) = match path.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (path, false),
        };
        if path.contains(['*', '?', '#']) {
            return Err(error("`*` stands at the end of a path alone, and a scope has no query"));
        }
        // What stands for any name is put aside, so that the URL's own rules judge the rest.
        let (prefix, authority) = match authority.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') => {
                ("below", rest.trim_start_matches('.').to_owned())
            }
            Some(rest) => ("any", format!("any.invalid{rest}")),
            None => ("exact", authority.to_owned()),
        };
        if authority.contains('*') {
            return Err(error("`*` stands for whole names at the beginning of a host alone"));
        }
        let url = Url::parse(&format!("{scheme}://{authority}{path}"))
            .map_err(|_| error("its URL cannot be read"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error("its URL holds a user or a password; use a secret"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => host.trim_end_matches('.').to_owned(),
        };
        let host = match prefix {
            "any" => HostScope::Any,
            "below" => HostScope::Below(host),
            _ => HostScope::Exact(host),
        };
        let port = url.port_or_known_default().unwrap_or(443);
        // A path that the URL's rules change (`/a/../b`) would not mean what it says.
        if url.path() != path {
            return Err(error("its path is not in its shortest form"));
        }
        Ok(Self { method, scheme: scheme.to_owned(), host, port, path: path.to_owned(), open })
    }
}

impl fmt::Display for HttpScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_deref().unwrap_or("*");
        write!(f, "{method} {}://", self.scheme)?;
        match &self.host {
            HostScope::Any => f.write_str("*")?,
            HostScope::Below(host) => write!(f, "*.{host}")?,
            HostScope::Exact(host) if host.contains(':') => write!(f, "[{host}]")?,
            HostScope::Exact(host) => f.write_str(host)?,
        }
        let usual = if self.scheme == "https" { 443 } else { 80 };
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "{}{}", self.path, if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> HttpScope {
        text.parse().unwrap()
    }

    fn allows(scope_text: &str, method: &str, url: &str) -> bool {
        scope(scope_text).allows(method, &Url::parse(url).unwrap())
    }

    #[test]
    fn a_scope_reads_back() {
        for text in [
            "POST https://hooks.slack.com/services/*",
            "* https://*.example.com/*",
            "GET https://*/a",
            "PUT http://127.0.0.1:8080/*",
            "POST https://[::1]:8443/x",
        ] {
            assert_eq!(scope(text).to_string(), text);
        }
        for bad in [
            "",
            "https://a/",
            "post https://a/",
            "POST ftp://a/",
            "POST https://a",
            "POST https://a/*/b",
            "POST https://a*.b/",
            "POST https://u:p@a/",
            "POST https://a/x?y",
            "POST https://a/../b",
        ] {
            assert!(bad.parse::<HttpScope>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_what_is_named_is_allowed() {
        let slack = "POST https://hooks.slack.com/services/*";
        assert!(allows(slack, "POST", "https://hooks.slack.com/services/T/B?x=1"));
        assert!(allows(slack, "POST", "https://HOOKS.slack.com./services/T"));
        for (method, url) in [
            ("GET", "https://hooks.slack.com/services/T"),
            ("POST", "http://hooks.slack.com/services/T"),
            ("POST", "https://hooks.slack.com:444/services/T"),
            ("POST", "https://hooks.slack.com/services/../admin"),
            ("POST", "https://hooks.slack.com/services/%2e%2e/admin"),
            ("POST", "https://hooks.slack.com.evil.com/services/T"),
            ("POST", "https://evil.com/https://hooks.slack.com/services/T"),
            ("POST", "https://hooks.slack.com@evil.com/services/T"),
            ("POST", "https://user@hooks.slack.com/services/T"),
        ] {
            assert!(!allows(slack, method, url), "{method} {url}");
        }
        assert!(allows("* https://*.a.com/*", "PUT", "https://x.y.a.com/"));
        assert!(!allows("* https://*.a.com/*", "PUT", "https://a.com/"));
        assert!(!allows("* https://*.a.com/*", "PUT", "https://xa.com/"));
        assert!(!allows("GET https://a.com/x", "GET", "https://a.com/x/y"));
    }

    #[test]
    fn a_grant_covers_what_is_narrower() {
        let covers = |a: &str, b: &str| scope(a).covers(&scope(b));
        assert!(covers("* https://*/*", "POST https://a.com/x"));
        assert!(covers("POST https://*.a.com/*", "POST https://*.b.a.com/x/*"));
        assert!(covers("POST https://a.com/*", "POST https://a.com/x"));
        assert!(!covers("POST https://a.com/x", "POST https://a.com/*"));
        assert!(!covers("POST https://a.com/*", "* https://a.com/*"));
        assert!(!covers("POST https://a.com/*", "POST https://*.a.com/*"));
        assert!(!covers("POST https://*.a.com/*", "POST https://a.com/*"));
    }

    #[test]
    fn what_is_not_covered_is_named() {
        let grants = [
            Grant::parse(HTTP, "POST https://a.com/*", vec!["token".into()]).unwrap(),
            Grant::parse(EMIT, "reminder.*", vec![]).unwrap(),
            Grant::parse(OBJECTS, "stripe customer", vec![]).unwrap(),
        ];
        let request = |capability: &str, scope: &str| CapabilityRequest {
            capability: capability.into(),
            scope: scope.into(),
        };
        let good = [
            request(HTTP, "POST https://a.com/x"),
            request(EMIT, "reminder.due"),
            request(SECRET, "token"),
            request(OBJECTS, "stripe customer"),
        ];
        assert_eq!(uncovered(&good, &grants), Ok(vec![]));
        let bad = [
            request(HTTP, "GET https://a.com/x"),
            request(EMIT, "*"),
            request(SECRET, "other"),
            request(OBJECTS, "stripe *"),
            request("wishes", "any"),
        ];
        assert_eq!(uncovered(&bad, &grants), Ok(bad.to_vec()));
        assert!(uncovered(&[request(HTTP, "a.com")], &grants).is_err());

        let url = Url::parse("https://a.com/x").unwrap();
        assert_eq!(allows_http(&grants, "POST", &url, &["token"]), Ok(()));
        assert!(allows_http(&grants, "POST", &url, &["other"]).unwrap_err().contains("`other`"));
        assert_eq!(
            allows_http(&grants, "GET", &url, &[]),
            Err("outbox.http `GET https://a.com/x`".into())
        );
        assert_eq!(allows_emit(&grants, "reminder.due"), Ok(()));
        assert_eq!(allows_emit(&grants, "invoice.paid"), Err("outbox.emit `invoice.paid`".into()));
        assert_eq!(Grant::parse(EMIT, "*", vec!["a".into()]), Err(GrantError::Secrets));
        assert!(matches!(Grant::parse("wishes", "*", vec![]), Err(GrantError::Capability(_))));
        assert!(matches!(Grant::parse(OBJECTS, "*", vec![]), Err(GrantError::Objects { .. })));
    }
}
