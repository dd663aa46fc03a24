//! `/reconcile`: looking for the events that no webhook brought, and how that stands.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::{Taken, object, taken};
use super::operations;
use super::params::{Params, invalid};
use super::replays::{Moment, moment};
use super::reply::ok;
use super::{Answer, App};
use crate::domain::clock::Timestamp;
use crate::http::problem::Problem;
use crate::reconcile::{Found, HORIZON, LostGround, ReconcileHandle, Status, Wish};

/// How much longer ago than Stripe's list reaches a look may be asked for: `30d` as it is typed is
/// longer ago when it comes here.
const SLACK: Duration = Duration::from_secs(3_600);

const SHAPE: &str = "some of `account` (a string), `since` (a time) and `dry_run` (a boolean)";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    account: Option<String>,
    since: Option<Moment>,
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct StatusView {
    object: &'static str,
    account: String,
    livemode: bool,
    /// `waiting` before the first look, `ok`, or `failed`.
    status: &'static str,
    upto: Option<u64>,
    last_look_at: Option<u64>,
    last_success_at: Option<u64>,
    missed_found: u64,
    unusable: u64,
    lost_ground: Option<LostGround>,
    failures: u64,
    clock_skew_seconds: Option<i64>,
    error: Option<Value>,
}

impl StatusView {
    fn new(status: Status) -> Self {
        let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_secs);
        Self {
            object: "reconcile_status",
            account: status.account,
            livemode: status.mode.is_live(),
            status: match (&status.error, status.last_look) {
                (Some(_), _) => "failed",
                (None, Some(_)) => "ok",
                (None, None) => "waiting",
            },
            upto: seconds(status.upto),
            last_look_at: seconds(status.last_look),
            last_success_at: seconds(status.last_success),
            missed_found: status.missed,
            unusable: status.unusable,
            lost_ground: status.lost,
            failures: status.failures,
            clock_skew_seconds: status.skew,
            error: status.error.map(|error| {
                json!({ "code": error.kind, "message": error.message, "at": error.at.as_secs() })
            }),
        }
    }
}

fn off() -> Problem {
    let message = "nothing is looked for: no account with a key is configured \
                   ([[stripe.account]]), or reconciliation is turned off (reconcile.enabled)";
    Problem::new(StatusCode::CONFLICT, "reconcile_off", message)
}

fn handle(app: &App) -> Result<&ReconcileHandle, Problem> {
    app.deps.reconcile.as_ref().ok_or_else(off)
}

/// `GET /reconcile`: how each account stands.
pub(super) async fn status(State(app): State<App>, params: Params) -> Answer {
    params.finish()?;
    let all = app.deps.reconcile.as_ref().map(ReconcileHandle::status).unwrap_or_default();
    let data: Vec<_> = all.into_iter().map(StatusView::new).collect();
    ok(&json!({
        "object": "reconcile",
        "enabled": app.deps.reconcile.is_some(),
        "accounts": data,
    }))
}

/// `POST /reconcile`: look now. 202 with an operation.
pub(super) async fn look(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let begun = app.idempotency.once(&headers, "/reconcile", &body, async || {
        let wanted: Wanted = object(&body, SHAPE)?;
        let since = moment("since", wanted.since)?;
        let now = app.deps.clock.now();
        if since.is_some_and(|since| since.plus(HORIZON + SLACK) < now) {
            let message = "Stripe lists the events of 30 days, and this is longer ago";
            return Err(invalid("since", message));
        }
        let handle = handle(&app)?.clone();
        handle.check(wanted.account.as_deref()).map_err(|error| invalid("account", error))?;
        let wish = Wish { since, dry_run: wanted.dry_run };
        let account = wanted.account;
        operations::start(&app, "reconcile", move |_, operation| async move {
            let progress = Arc::clone(&operation);
            let tell = move |found: &Found| {
                progress.progress.note(|figures| {
                    figures.looked_at = found.listed;
                    figures.done = found.missed;
                });
                !progress.progress.is_cancelled()
            };
            // Dropped between two transitions of the store: nothing is half done.
            let looked = tokio::select! {
                looked = handle.look(account.as_deref(), wish, &tell) => looked,
                () = operation.progress.cancelled() => return Err("cancelled".to_owned()),
            };
            let looked = looked.map_err(|error| error.to_string())?;
            let failed: Vec<_> = looked
                .iter()
                .filter_map(|one| Some(format!("{}: {}", one.account, one.error.as_ref()?)))
                .collect();
            if !failed.is_empty() {
                return Err(failed.join("; "));
            }
            let accounts =
                looked.iter().map(|one| json!({ "account": one.account, "found": one.found }));
            Ok(json!({ "dry_run": wish.dry_run, "accounts": accounts.collect::<Vec<_>>() }))
        })
    });
    begun.await
}
