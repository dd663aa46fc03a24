//! `/requests`: what was refused at known endpoints, as it is kept. None of it is believed.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::body::{Preview, Taken, taken};
use super::list::List;
use super::params::{From, Name, PageParams, Params, invalid};
use super::reply::{missing, ok};
use super::{Answer, App, Shared};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::Header;
use crate::domain::request::{RefusedRequest, RequestId};
use crate::http::problem::Problem;
use crate::ingest::requests::judge_again;
use crate::provider::Verified;
use crate::store::{Admission, Cursor, PageRequest, RequestQuery};

/// A request as it is shown.
#[derive(Debug, Serialize)]
struct RequestView<'a> {
    object: &'static str,
    id: String,
    outcome: &'static str,
    endpoint: String,
    status: u16,
    code: &'a str,
    message: &'a str,
    created: u64,
    created_ms: u64,
    /// Address of the client, as far as it can be told.
    client: String,
    /// The trusted proxy that named it.
    proxy: Option<String>,
    method: &'a str,
    path: &'a str,
    /// Bytes of the whole body, if they are known.
    size: Option<u64>,
    /// Whether all is here that a retry needs.
    whole: bool,
    /// Requests to this endpoint that were refused before this one and not kept.
    unkept: u64,
    headers: Vec<HeaderView<'a>>,
    headers_left_out: u32,
    /// The beginning of the body.
    body: Preview,
}

#[derive(Debug, Serialize)]
struct HeaderView<'a> {
    name: &'a str,
    value: String,
}

impl<'a> RequestView<'a> {
    fn new((id, request): &'a (RequestId, RefusedRequest)) -> Self {
        let header = |header: &'a Header| HeaderView {
            name: &header.name,
            value: String::from_utf8_lossy(&header.value).into_owned(),
        };
        Self {
            object: "request",
            id: id.to_string(),
            outcome: "refused",
            endpoint: request.endpoint.to_string(),
            status: request.status,
            code: &request.code,
            message: &request.message,
            created: request.at.as_secs(),
            created_ms: request.at.as_millis(),
            client: request.client.address.to_string(),
            proxy: request.client.proxy.map(|proxy| proxy.to_string()),
            method: &request.method,
            path: &request.path,
            size: request.length,
            whole: request.is_whole(),
            unkept: request.unkept,
            headers: request.headers.iter().map(header).collect(),
            headers_left_out: request.headers_left_out,
            body: Preview::new(&request.body),
        }
    }
}

/// `GET /requests`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    if let Some(outcome) = params.text("outcome")?.filter(|outcome| outcome != "refused") {
        let message = format!(
            "`{outcome}`: only `refused` requests are kept; GET /api/v1/events \
                               lists what was accepted"
        );
        return Err(invalid("outcome", message));
    }
    let endpoint = params.parsed::<Uuid>("endpoint")?.map(EndpointId);
    let code = params.text("code")?;
    let page = Shared::request_page(params.page()?)?;
    params.finish()?;
    let page = app.deps.requests.requests(RequestQuery { endpoint, code, page }).await?;
    let data = page.data.iter().map(RequestView::new).collect();
    ok(&List::new("/api/v1/requests", data, page.has_more))
}

/// `GET /requests/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    ok(&RequestView::new(&app.request(&id).await?))
}

#[derive(Debug, Serialize)]
struct Retried {
    object: &'static str,
    id: String,
    /// The event that it is after all.
    event: String,
    /// `accepted` or `duplicate`.
    status: &'static str,
}

/// `POST /requests/{id}/retry`: judge it again by the endpoint's secrets of now; accept it if it is
/// genuine.
pub(super) async fn retry(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let path = format!("/requests/{id}/retry");
    let body = taken(body)?;
    let answer = app.idempotency.once(&headers, &path, &body, async || {
        let (number, request) = app.request(&id).await?;
        let gone = |what: &str| {
            let message = format!("the request's {what} is not there any more; make it again");
            Problem::new(StatusCode::CONFLICT, "endpoint_gone", message)
        };
        let endpoint = app.deps.endpoints.get(request.endpoint).ok_or_else(|| gone("endpoint"))?;
        let provider =
            app.deps.providers.get(&endpoint.provider).ok_or_else(|| gone("provider"))?;
        let now = app.deps.clock.now();
        let judged = judge_again(&request, &endpoint, provider.as_ref(), now);
        let event = match judged {
            Ok(Verified::Event(event)) => *event,
            Ok(Verified::Handshake(_)) => {
                let message = "the request is genuine but asks a question; there is no event in it";
                return Err(Problem::new(StatusCode::CONFLICT, "not_an_event", message));
            }
            Err(rejection) => {
                let message = format!("the request is refused again: {}", rejection.message);
                return Err(Problem::new(StatusCode::CONFLICT, rejection.code, message));
            }
        };
        app.deps.endpoints.matched(endpoint.id, &event.secret);
        let name = event.key.id.clone();
        let status = match app.deps.ingest.accept(&endpoint, event).await? {
            Admission::Accepted(_) => "accepted",
            Admission::Duplicate(_) => "duplicate",
        };
        ok(&Retried { object: "request_retry", id: number.to_string(), event: name, status })
    });
    answer.await
}

impl Shared {
    async fn request(&self, id: &str) -> Result<(RequestId, RefusedRequest), Problem> {
        let no_such = || missing("request", id, "GET /api/v1/requests lists those kept");
        let number: RequestId = id.parse().map_err(|_| no_such())?;
        let request = self.deps.requests.request(number).await?;
        request.map(|request| (number, request)).ok_or_else(no_such)
    }

    fn request_page(page: PageParams) -> Result<PageRequest<RequestId>, Problem> {
        let from = match page.from {
            None => None,
            Some(from) => {
                let number = from.id().parse().map_err(|error| invalid(from.param(), error))?;
                Some(match from {
                    From::After(_) => Cursor::After(number),
                    From::Before(_) => Cursor::Before(number),
                })
            }
        };
        Ok(PageRequest { limit: page.limit, from })
    }
}
