//! Which of the public listener's few things a request asks for.
//!
//! Decided by method and path alone, before a byte of the body is read.

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

/// Characters of a UUID in the only form that the URL takes.
const UUID: usize = 36;

/// A trailing slash makes no difference: a redirect would lose the event, for providers do not
/// follow it.
pub(super) fn route(method: &Method, path: &str) -> Route {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == "/livez" {
        return match *method {
            Method::GET | Method::HEAD => Route::Live,
            _ => Route::WrongMethod("GET, HEAD"),
        };
    }
    let id = path.strip_prefix("/webhooks/").filter(|id| id.len() == UUID);
    match id.and_then(|id| Uuid::try_parse(id).ok()) {
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
            assert_eq!(route(&method, &path), expected, "{method} {path}");
        }
    }
}
