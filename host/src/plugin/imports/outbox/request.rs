//! Whether what a guest asks for is well-formed. Grants are judged afterwards.
//!
//! Everything a receiver could read otherwise than the host meant it is refused here, so that
//! what the operator is shown is what is sent.

use url::Url;

use crate::domain::effect::{HttpRequest, RESERVED_HEADERS, SECRET_CLOSE, SECRET_OPEN};
use crate::domain::pattern::TypePattern;
use crate::plugin::bindings::signalbox::plugin::outbox as contract;
use crate::plugin::limits::{MAX_HEADERS, MAX_KIND, MAX_URL};

/// Longest method: all that are registered have fewer letters.
const MAX_METHOD: usize = 20;

/// Longest media type.
const MAX_CONTENT_TYPE: usize = 256;

/// The header by which the host vouches for an effect being one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request that can be sent as it is.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) request: HttpRequest,
    /// As grants see it.
    pub(super) url: Url,
    /// Names of the secrets in it, each once.
    pub(super) secrets: Vec<String>,
}

/// Check a request. The URL that is kept is the parser's: what was granted is what is sent.
pub(super) fn check(asked: contract::HttpRequest) -> Result<Checked, String> {
    let contract::HttpRequest { method, url, headers, body } = asked;
    check_method(&method)?;
    let parsed = check_url(&url)?;
    if headers.len() > MAX_HEADERS {
        let count = headers.len();
        return Err(format!("there are {count} headers, and {MAX_HEADERS} are the most"));
    }
    let mut secrets = Vec::new();
    for (name, value) in &headers {
        check_header(name, value)?;
        for secret in secrets_of(name, value)? {
            if !secrets.contains(&secret) {
                secrets.push(secret);
            }
        }
    }
    if find(&body, SECRET_OPEN.as_bytes()) {
        return Err(misplaced("body"));
    }
    let request = HttpRequest { method, url: parsed.as_str().to_owned(), headers, body };
    Ok(Checked { request, url: parsed, secrets })
}

fn check_method(method: &str) -> Result<(), String> {
    let letters = method.bytes().all(|b| b.is_ascii_uppercase());
    if method.is_empty() || method.len() > MAX_METHOD || !letters {
        return Err(format!("`{}` is no upper-case method such as `POST`", shown(method)));
    }
    if matches!(method, "CONNECT" | "TRACE") {
        return Err(format!("`{method}` is not sent by this host"));
    }
    Ok(())
}

fn check_url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("the URL has {} bytes, and {MAX_URL} are the most", text.len()));
    }
    if text.contains(SECRET_OPEN) {
        return Err(misplaced("URL"));
    }
    let bad = |what: &str| Err(format!("the URL `{}` {what}", shown(text)));
    // The parser drops them silently.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return bad("holds white space");
    }
    let Ok(url) = Url::parse(text) else { return bad("is not an absolute `https` URL") };
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return bad("is not an absolute `https` URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("holds a user or a password; put a secret into a header");
    }
    if url.fragment().is_some() {
        return bad("holds a fragment, which is never sent");
    }
    Ok(url)
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let token =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{}` is no header name in lower case", shown(name)));
    }
    if name == IDEMPOTENCY_KEY || RESERVED_HEADERS.contains(&name) {
        return Err(format!("the header `{name}` is the host's to set"));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of `{name}` holds a control character"));
    }
    Ok(())
}

/// Names of the secrets in a header's value.
fn secrets_of(header: &str, value: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(SECRET_OPEN) {
        let parts = after.split_once(SECRET_CLOSE).filter(|(name, _)| secret_name(name));
        let Some((name, after)) = parts else {
            return Err(format!(
                "the value of `{header}` holds a secret that cannot be read; write \
                 `{{{{secret:NAME}}}}`, the name of letters, digits, `-` and `_`"
            ));
        };
        names.push(name.to_owned());
        rest = after;
    }
    Ok(names)
}

/// Whether a secret can have this name.
pub(in crate::plugin) fn secret_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(good)
}

fn misplaced(place: &str) -> String {
    format!("a secret stands in the {place}; it can stand in the value of a header alone")
}

/// An event type, which is a pattern that holds itself alone.
pub(super) fn kind(kind: &str) -> Result<(), String> {
    if kind.len() > MAX_KIND {
        return Err(format!(
            "the event type has {} bytes, and {MAX_KIND} are the most",
            kind.len()
        ));
    }
    match kind.parse() {
        Ok(TypePattern::Exact(_)) => Ok(()),
        _ => Err(format!("`{}` is no event type such as `reminder.due`", shown(kind))),
    }
}

/// A media type.
pub(super) fn content_type(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if plain && text.len() <= MAX_CONTENT_TYPE && text.contains('/') {
        return Ok(());
    }
    Err(format!("`{}` is no media type such as `application/json`", shown(text)))
}

fn find(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

/// As much of a guest's text as a message may hold, on one line.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Checked, String> {
        check(contract::HttpRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn what_is_kept_is_what_was_judged() {
        let headers = [("authorization", "Bearer {{secret:API_KEY}}{{secret:b}}"), ("x-a", "ü")];
        let checked = ask("PUT", "HTTPS://A.com/x/../y?q=1", &headers, "{}").unwrap();
        assert_eq!(checked.request.url, "https://a.com/y?q=1");
        assert_eq!(checked.secrets, ["API_KEY", "b"]);
        assert_eq!(checked.request.headers.len(), 2);
    }

    #[test]
    fn what_is_not_well_formed_is_named() {
        let good = "https://a.com/";
        let long = format!("https://a.com/{}", "x".repeat(MAX_URL));
        for (method, url, header, body, says) in [
            ("post", good, ("a", "b"), "", "upper-case method"),
            ("", good, ("a", "b"), "", "upper-case method"),
            ("CONNECT", good, ("a", "b"), "", "not sent"),
            ("GET", "a.com", ("a", "b"), "", "absolute `https`"),
            ("GET", "/a", ("a", "b"), "", "absolute `https`"),
            ("GET", "file:///etc/passwd", ("a", "b"), "", "absolute `https`"),
            ("GET", "data:text/plain,a", ("a", "b"), "", "absolute `https`"),
            ("GET", "https://u:p@a.com/", ("a", "b"), "", "user or a password"),
            ("GET", "https://a.com/#x", ("a", "b"), "", "fragment"),
            ("GET", "https://a.com/\n", ("a", "b"), "", "white space"),
            ("GET", &long, ("a", "b"), "", "are the most"),
            ("GET", "https://a.com/?k={{secret:k}}", ("a", "b"), "", "in the URL"),
            ("GET", good, ("a", "b"), "{{secret:k}}", "in the body"),
            ("GET", good, ("Accept", "b"), "", "in lower case"),
            ("GET", good, ("", "b"), "", "in lower case"),
            ("GET", good, ("a b", "b"), "", "in lower case"),
            ("GET", good, ("host", "b"), "", "the host's to set"),
            ("GET", good, ("idempotency-key", "b"), "", "the host's to set"),
            ("GET", good, ("a", "b\r\nc: d"), "", "control character"),
            ("GET", good, ("a", "{{secret:k"), "", "cannot be read"),
            ("GET", good, ("a", "{{secret:}}"), "", "cannot be read"),
            ("GET", good, ("a", "{{secret:a b}}"), "", "cannot be read"),
        ] {
            let error = ask(method, url, &[header], body).unwrap_err();
            assert!(error.contains(says), "{error} has no `{says}`");
        }
        let many = vec![("a", "b"); MAX_HEADERS + 1];
        assert!(ask("GET", good, &many, "").unwrap_err().contains("101 headers"));
        ask("GET", good, &many[1..], "").unwrap();
        for name in RESERVED_HEADERS.into_iter().chain([IDEMPOTENCY_KEY]) {
            assert!(ask("GET", good, &[(name, "b")], "").is_err(), "{name}");
        }
    }

    #[test]
    fn kinds_are_event_types_and_no_patterns() {
        for good in ["a", "reminder.due", &"k".repeat(MAX_KIND)] {
            assert_eq!(kind(good), Ok(()), "{good}");
        }
        for bad in ["", "*", "a.*", "a..b", "a b", ".a", &"k".repeat(MAX_KIND + 1)] {
            assert!(kind(bad).is_err(), "{bad:?}");
        }
        for good in ["application/json", "text/plain; charset=utf-8"] {
            assert_eq!(content_type(good), Ok(()));
        }
        for bad in ["", "json", "a/b\n", "ä/b"] {
            assert!(content_type(bad).is_err(), "{bad:?}");
        }
    }
}
