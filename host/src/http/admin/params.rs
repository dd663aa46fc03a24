//! The query of a request: every parameter is known, given once, and well-formed, or named in a 400.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::domain::delivery::Status;
use crate::http::problem::Problem;

/// Most entries of one page, as at Stripe.
pub(super) const MAX_LIMIT: usize = 100;

/// Entries of a page where none are asked for, as at Stripe.
pub(super) const DEFAULT_LIMIT: usize = 10;

/// The one name in a path, decoded.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(error) => {
                let message = format!("the path cannot be read: {error}");
                Err(Problem::new(StatusCode::BAD_REQUEST, "path_malformed", message))
            }
        }
    }
}

/// What is left of the query.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// Which page is asked for; cursors are still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageParams {
    pub(super) limit: usize,
    pub(super) from: Option<From>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    After(String),
    Before(String),
}

impl From {
    pub(super) const fn param(&self) -> &'static str {
        match self {
            Self::After(_) => "starting_after",
            Self::Before(_) => "ending_before",
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::After(id) | Self::Before(id) => id,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => {
                let message = format!("the query cannot be read: {error}");
                Err(Problem::new(StatusCode::BAD_REQUEST, "query_malformed", message))
            }
        }
    }
}

/// 400 for one parameter.
pub(super) fn invalid(name: &str, message: impl Display) -> Problem {
    let message = format!("{name}: {message}");
    Problem::new(StatusCode::BAD_REQUEST, "parameter_invalid", message).param(name)
}

/// A delivery's status by its name.
pub(super) fn status(text: &str) -> Result<Status, Problem> {
    Ok(match text {
        "pending" => Status::Pending,
        "running" => Status::Running,
        "done" => Status::Done,
        "retry" => Status::Retry,
        "dead" => Status::Dead,
        "parked" => Status::Parked,
        _ => {
            let names = "pending, running, done, retry, dead or parked";
            return Err(invalid("status", format!("`{text}` is none of {names}")));
        }
    })
}

impl Params {
    /// Take the parameter `name` as it stands.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(n, _)| n == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(n, _)| n == name) {
            return Err(invalid(name, "it is given twice; give it once"));
        }
        if value.is_empty() {
            return Err(invalid(name, "it is empty; give it a value or leave it out"));
        }
        Ok(Some(value))
    }

    /// Take the parameter `name` as a `T`.
    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|error| invalid(name, error))).transpose()
    }

    /// Take the parameter `status`.
    pub(super) fn status(&mut self) -> Result<Option<Status>, Problem> {
        self.text("status")?.map(|text| status(&text)).transpose()
    }

    /// Take the parameters of a page.
    pub(super) fn page(&mut self) -> Result<PageParams, Problem> {
        let limit = self.limit()?;
        let from = match (self.text("starting_after")?, self.text("ending_before")?) {
            (None, None) => None,
            (Some(id), None) => Some(From::After(id)),
            (None, Some(id)) => Some(From::Before(id)),
            (Some(_), Some(_)) => {
                return Err(invalid("ending_before", "not together with starting_after"));
            }
        };
        Ok(PageParams { limit, from })
    }

    /// Take the parameter `limit`.
    pub(super) fn limit(&mut self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit")? else { return Ok(DEFAULT_LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit
            .ok_or_else(|| invalid("limit", format!("`{text}` is no number from 1 to {MAX_LIMIT}")))
    }

    /// What is left now is not known.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("this path has no parameter `{name}`; leave it out");
                let problem = Problem::new(StatusCode::BAD_REQUEST, "parameter_unknown", message);
                Err(problem.param(name))
            }
        }
    }
}
