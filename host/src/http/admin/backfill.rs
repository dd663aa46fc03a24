//! `/objects/backfill`: taking the objects of the provider's lists into the mirror.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::body::{Taken, object, taken};
use super::operations;
use super::params::{Params, invalid};
use super::replays::{Moment, moment};
use super::{Answer, App};
use crate::http::problem::Problem;
use crate::refresh::{BadWish, Wish};

const SHAPE: &str = "some of `kinds` (a list of strings), `account` (a string), `since` (a time) and \
                     `restart` (a boolean)";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    kinds: Vec<String>,
    account: Option<String>,
    since: Option<Moment>,
    restart: bool,
}

fn off() -> Problem {
    let message = "there is nothing to read with or into: no account with a key is configured \
                   ([[stripe.account]]), or the mirror is turned off (mirror.enabled)";
    Problem::new(StatusCode::CONFLICT, "backfill_off", message)
}

/// `POST /objects/backfill`: read the lists. 202 with an operation.
pub(super) async fn start(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let begun = app.idempotency.once(&headers, "/objects/backfill", &body, async || {
        let wanted: Wanted = object(&body, SHAPE)?;
        let since = moment("since", wanted.since)?;
        let backfill = app.deps.backfill.clone().ok_or_else(off)?;
        let Wanted { kinds, account, restart, .. } = wanted;
        let wish = Wish { kinds, account, since, restart };
        backfill.check(&wish).map_err(|error| {
            let name = if matches!(error, BadWish::Kind(..)) { "kinds" } else { "account" };
            invalid(name, error)
        })?;
        operations::start(&app, "backfill", move |_, operation| async move {
            let progress = Arc::clone(&operation);
            let tell = move |listed, held| {
                progress.progress.note(|figures| {
                    figures.looked_at = listed;
                    figures.done = held;
                });
                !progress.progress.is_cancelled()
            };
            // Dropped between two transitions of the store: nothing is half done.
            let lists = tokio::select! {
                lists = backfill.run(&wish, &tell) => lists,
                () = operation.progress.cancelled() => return Err("cancelled".to_owned()),
            };
            let failed: Vec<_> = lists
                .iter()
                .filter_map(|one| {
                    Some(format!("{} of {}: {}", one.kind, one.account, one.error.as_ref()?))
                })
                .collect();
            if !failed.is_empty() {
                return Err(failed.join("; "));
            }
            Ok(json!({ "lists": lists }))
        })
    });
    begun.await
}
