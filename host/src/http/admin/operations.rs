//! `/operations`: what takes longer than a request may.
//!
//! In memory: a restart forgets them, and nothing of what they did. At most [`MAX_RUNNING`] run and
//! [`MAX_KEPT`] are kept, the oldest that ended goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::body::{Taken, taken};
use super::list::List;
use super::params::{Name, Params};
use super::reply::{json, missing, ok};
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::http::guard::guarded;
use crate::http::problem::Problem;
use crate::replay::{Figures, Progress};

/// Most that run at once: each reads the store page after page.
const MAX_RUNNING: usize = 4;

/// Most that are kept to be looked at.
const MAX_KEPT: usize = 100;

/// How long a stop waits for those under way, which end at their next step.
const DRAIN: Duration = Duration::from_secs(5);

/// Something under way, or that was.
#[derive(Debug)]
pub(super) struct Operation {
    id: String,
    kind: &'static str,
    created: Timestamp,
    pub(super) progress: Progress,
    end: Mutex<Option<End>>,
}

#[derive(Debug, Clone)]
struct End {
    at: Timestamp,
    /// What it found, or why it failed.
    result: Result<Value, String>,
}

#[derive(Debug, Serialize)]
struct OperationView<'a> {
    object: &'static str,
    id: &'a str,
    kind: &'static str,
    /// `running`, `done` or `failed`.
    status: &'static str,
    created: u64,
    created_ms: u64,
    finished_at: Option<u64>,
    finished_at_ms: Option<u64>,
    #[serde(flatten)]
    figures: Figures,
    /// Why it failed.
    errors: Vec<String>,
    /// What it found, if it was to find something.
    result: Option<Value>,
}

/// All that are kept, the newest first.
#[derive(Debug, Default)]
pub(super) struct Operations {
    kept: Mutex<VecDeque<Arc<Operation>>>,
    tasks: TaskTracker,
}

impl Operation {
    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> bool {
        self.end().is_none()
    }

    fn view(&self) -> OperationView<'_> {
        let end = self.end().clone();
        let status = match end.as_ref().map(|end| &end.result) {
            None => "running",
            Some(Ok(_)) => "done",
            Some(Err(_)) => "failed",
        };
        let at = end.as_ref().map(|end| end.at);
        let (errors, result) = match end.map(|end| end.result) {
            None => (Vec::new(), None),
            Some(Ok(result)) => (Vec::new(), Some(result).filter(|result| !result.is_null())),
            Some(Err(error)) => (vec![error], None),
        };
        OperationView {
            object: "operation",
            id: &self.id,
            kind: self.kind,
            status,
            created: self.created.as_secs(),
            created_ms: self.created.as_millis(),
            finished_at: at.map(Timestamp::as_secs),
            finished_at_ms: at.map(Timestamp::as_millis),
            figures: self.progress.figures(),
            errors,
            result,
        }
    }
}

impl Operations {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Operation>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Operation>> {
        self.kept().iter().cloned().collect()
    }

    fn get(&self, id: &str) -> Result<Arc<Operation>, Problem> {
        let found = self.kept().iter().find(|operation| operation.id == id).cloned();
        let remedy = "GET /api/v1/operations lists those since the host started, the last 100";
        found.ok_or_else(|| missing("operation", id, remedy))
    }

    fn add(&self, operation: &Arc<Operation>) -> Result<(), Problem> {
        let mut kept = self.kept();
        if kept.iter().filter(|operation| operation.runs()).count() >= MAX_RUNNING {
            let message = format!(
                "{MAX_RUNNING} operations are under way and more do not run at once; wait for one to \
                 end or cancel it (GET /api/v1/operations lists them)"
            );
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "operations_limit", message));
        }
        if kept.len() >= MAX_KEPT
            && let Some(oldest) = kept.iter().rposition(|operation| !operation.runs())
        {
            kept.remove(oldest);
        }
        kept.push_front(Arc::clone(operation));
        Ok(())
    }

    /// Stop all that are under way.
    pub(super) async fn stop(&self) {
        self.all().iter().for_each(|operation| operation.progress.cancel());
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopped with operations under way");
        }
    }
}

/// Have `work` done beside the request, and answer 202 with its operation.
pub(super) fn start<F>(
    app: &App,
    kind: &'static str,
    work: impl FnOnce(App, Arc<Operation>) -> F,
) -> Answer
where
    F: Future<Output = Result<Value, String>> + Send + 'static,
{
    let operation = Arc::new(Operation {
        id: format!("op_{}", uuid::Uuid::new_v4().simple()),
        kind,
        created: app.deps.clock.now(),
        progress: Progress::default(),
        end: Mutex::new(None),
    });
    app.operations.add(&operation)?;
    let answer = json(StatusCode::ACCEPTED, &operation.view());
    let (clock, work) =
        (Arc::clone(&app.deps.clock), work(Arc::clone(app), Arc::clone(&operation)));
    app.operations.tasks.spawn(async move {
        let result = guarded(work).await.unwrap_or_else(|_| {
            Err("the host failed at this operation; its log says where".to_owned())
        });
        if let Err(error) = &result {
            tracing::warn!(operation = operation.id, kind = operation.kind, %error, "failed");
        }
        *operation.end() = Some(End { at: clock.now(), result });
    });
    answer
}

/// `GET /operations`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let page = params.page()?;
    params.finish()?;
    let all = app.operations.all();
    let id = |operation: &Arc<Operation>| operation.id.clone();
    let List { url, has_more, data, .. } =
        List::of("/api/v1/operations", all, &page, id, Arc::clone)?;
    let data: Vec<_> =
        data.iter().map(|operation| OperationView { result: None, ..operation.view() }).collect();
    ok(&List::new(url, data, has_more))
}

/// `GET /operations/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    ok(&app.operations.get(&id)?.view())
}

/// `POST /operations/{id}/cancel`: stop it at its next step. What it did stays done.
pub(super) async fn cancel(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let path = format!("/operations/{id}/cancel");
    let body = taken(body)?;
    let cancelled = app.idempotency.once(&headers, &path, &body, async || {
        let operation = app.operations.get(&id)?;
        if !operation.runs() {
            let message = format!("the operation `{id}` has ended already");
            return Err(Problem::new(StatusCode::CONFLICT, "operation_ended", message).param("id"));
        }
        operation.progress.cancel();
        ok(&operation.view())
    });
    cancelled.await
}

impl Shared {
    /// Stop what goes on beside the requests.
    pub(super) async fn stop(&self) {
        self.operations.stop().await;
    }
}
