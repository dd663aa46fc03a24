//! Which of the public listener's few things a request asks for.
//!
//! Decided by method and path alone, before a byte of the body is read.

use std::fmt;
use std::str::FromStr;

use hyper::Method;
use uuid::Uuid;

use crate::domain::endpoint::EndpointId;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// A webhook for this endpoint, which may not exist.
    Webhook(EndpointId),
    /// Whether the process serves.
    Live,
    /// Something that exists, by a method it does not have. Those it has.
    WrongMethod(&'static str),
    /// Nothing that exists.
    Unknown,
}

/// Another path that leads to an endpoint: `/stripe/webhook/{uuid}/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    before: String,
    after: String,
}

/// Why a text is no alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no path of an endpoint; write one with {{uuid}} as a whole part of it, such as \
     `/stripe/webhook/{{uuid}}/`"
)]
pub struct AliasError(pub String);

impl Alias {
    fn find<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())
    }
}

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        let parts = text.split_once("{uuid}").and_then(|(before, after)| {
            let after = after.strip_suffix('/').unwrap_or(after);
            let plain =
                |part: &str| part.bytes().all(|b| b.is_ascii_graphic() && !b"?#{}%".contains(&b));
            let whole = before.starts_with('/')
                && before.ends_with('/')
                && (after.is_empty() || after.starts_with('/'));
            let fits = whole && plain(before) && plain(after) && !before.contains("//");
            fits.then(|| Self { before: before.to_owned(), after: after.to_owned() })
        });
        parts.ok_or_else(|| AliasError(text.to_owned()))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{uuid}}{}/", self.before, self.after)
    }
}

/// Characters of a UUID in the only form that the URL takes.
const UUID: usize = 36;

/// A trailing slash makes no difference: a redirect would lose the event, for providers do not
/// follow it.
pub(super) fn route(method: &Method, path: &str, aliases: &[Alias]) -> Route {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == "/livez" {
        return match *method {
            Method::GET | Method::HEAD => Route::Live,
            _ => Route::WrongMethod("GET, HEAD"),
        };
    }
    let own = path.strip_prefix("/webhooks/");
    let id = own.or_else(|| aliases.iter().find_map(|alias| alias.find(path)));
    match id.filter(|id| id.len() == UUID).and_then(|id| Uuid::try_parse(id).ok()) {
        Some(id) if *method == Method::POST => Route::Webhook(EndpointId(id)),
        Some(_) => Route::WrongMethod("POST"),
        None => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_asking() {
        let id = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11";
        let webhook = Route::Webhook(EndpointId(Uuid::try_parse(id).unwrap()));
        for (method, path, expected) in [
            (Method::POST, format!("/webhooks/{id}"), webhook),
            (Method::POST, format!("/webhooks/{id}/"), webhook),
            (Method::POST, format!("/webhooks/{}", id.to_uppercase()), webhook),
            (Method::GET, format!("/webhooks/{id}"), Route::WrongMethod("POST")),
            (Method::OPTIONS, format!("/webhooks/{id}/"), Route::WrongMethod("POST")),
            (Method::POST, format!("/webhooks/{id}//"), Route::Unknown),
            (Method::POST, format!("/webhooks/{id}/x"), Route::Unknown),
            (Method::POST, format!("/webhooks//{id}"), Route::Unknown),
            (Method::POST, format!("/webhooks/{}", id.replace('-', "")), Route::Unknown),
            (Method::POST, format!("/webhooks/{{{id}}}"), Route::Unknown),
            (Method::POST, "/webhooks/".into(), Route::Unknown),
            (Method::POST, "/webhooks".into(), Route::Unknown),
            (Method::POST, "*".into(), Route::Unknown),
            (Method::GET, String::new(), Route::Unknown),
            (Method::GET, "/livez".into(), Route::Live),
            (Method::HEAD, "/livez/".into(), Route::Live),
            (Method::POST, "/livez".into(), Route::WrongMethod("GET, HEAD")),
            (Method::GET, "/readyz".into(), Route::Unknown),
            (Method::GET, "/api/v1/events".into(), Route::Unknown),
        ] {
            assert_eq!(route(&method, &path, &[]), expected, "{method} {path}");
        }
    }

    #[test]
    fn an_alias_leads_to_the_same_endpoint_with_and_without_a_slash() {
        let id = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11";
        let webhook = Route::Webhook(EndpointId(Uuid::try_parse(id).unwrap()));
        let aliases: Vec<Alias> =
            ["/stripe/webhook/{uuid}/", "/a/{uuid}/b"].map(|text| text.parse().unwrap()).to_vec();
        for (method, path, expected) in [
            (Method::POST, format!("/stripe/webhook/{id}/"), webhook),
            (Method::POST, format!("/stripe/webhook/{id}"), webhook),
            (Method::POST, format!("/webhooks/{id}"), webhook),
            (Method::POST, format!("/a/{id}/b/"), webhook),
            (Method::GET, format!("/stripe/webhook/{id}/"), Route::WrongMethod("POST")),
            (Method::POST, format!("/stripe/webhook/{id}/x"), Route::Unknown),
            (Method::POST, format!("/stripe/webhook/x{id}"), Route::Unknown),
            (Method::POST, "/stripe/webhook/".into(), Route::Unknown),
            (Method::POST, format!("/a/{id}"), Route::Unknown),
        ] {
            assert_eq!(route(&method, &path, &aliases), expected, "{method} {path}");
        }
        assert_eq!(aliases[0].to_string(), "/stripe/webhook/{uuid}/");
    }

    #[test]
    fn what_is_no_alias_is_refused() {
        for bad in [
            "",
            "/",
            "/x/",
            "{uuid}",
            "x/{uuid}",
            "/x{uuid}",
            "/x/{uuid}y",
            "//{uuid}",
            "/{uuid}/{uuid}",
            "/x?/{uuid}",
            "/%2f/{uuid}",
        ] {
            assert!(bad.parse::<Alias>().is_err(), "{bad}");
        }
    }
}
