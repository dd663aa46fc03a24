//! `Idempotency-Key`: a `POST` that is sent twice is done once.
//!
//! In memory, as Stripe's rules have it in spirit: the first answer is given again for [`KEPT`], to
//! the same request alone. What a restart forgets is the key, never what was made. At most [`MAX_KEYS`] are
//! remembered, the oldest goes first.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::reply::whole;
use super::{Answer, params::invalid};
use crate::http::problem::Problem;

/// How long an answer is given again, as at Stripe.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Most keys remembered: an operator's tools make a handful of requests.
const MAX_KEYS: usize = 1_000;

/// Longest key, as at Stripe.
const MAX_KEY: usize = 255;

/// The keys seen, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Idempotency {
    /// Held while a keyed request is done, so that its repetition waits for it.
    seen: Mutex<VecDeque<Seen>>,
}

#[derive(Debug)]
struct Seen {
    key: Vec<u8>,
    /// Of what was asked, and of whom.
    digest: [u8; 32],
    at: Instant,
    status: StatusCode,
    answer: Vec<u8>,
}

impl Idempotency {
    /// Do `work`, unless the same request was done under the same key: then its answer again.
    /// Only what was done is remembered: after an error the key is still free.
    pub(super) async fn once(
        &self,
        headers: &HeaderMap,
        path: &str,
        body: &[u8],
        work: impl AsyncFnOnce() -> Answer,
    ) -> Answer {
        let Some(key) = headers.get("idempotency-key") else { return work().await };
        let key = key.as_bytes();
        if key.is_empty() || key.len() > MAX_KEY {
            let message = format!("a key has 1 to {MAX_KEY} characters");
            return Err(invalid("Idempotency-Key", message));
        }
        let mut hash = Sha256::new();
        hash.update(path);
        hash.update([0]);
        hash.update(body);
        let digest: [u8; 32] = hash.finalize().into();
        let mut seen = self.seen.lock().await;
        while seen.front().is_some_and(|oldest| oldest.at.elapsed() >= KEPT) {
            seen.pop_front();
        }
        if let Some(earlier) = seen.iter().find(|earlier| earlier.key == key) {
            if earlier.digest == digest {
                return Ok(whole(earlier.status, earlier.answer.clone()));
            }
            let message = "this Idempotency-Key was used for something else; take a new key";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_reused", message);
            return Err(problem.param("Idempotency-Key"));
        }
        let (parts, answer) = work().await?.into_parts();
        let answer = axum::body::to_bytes(answer, usize::MAX).await.map_err(|error| {
            tracing::error!(%error, "an answer could not be read back");
            Problem::unavailable("host_fault", "the answer could not be written")
        })?;
        if seen.len() >= MAX_KEYS {
            seen.pop_front();
        }
        let (key, status) = (key.to_vec(), parts.status);
        let kept = Seen { key, digest, at: Instant::now(), status, answer: answer.to_vec() };
        seen.push_back(kept);
        Ok(whole(status, answer.to_vec()))
    }
}
