//! An operation of the host's: watched to its end.

use std::time::Duration;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::context::Context;

/// How often the host is asked: short operations end at once, long ones are not asked in vain.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(250);

/// Watch `operation` to its end. Interrupted, it is cancelled, and its end awaited.
///
/// # Errors
/// When it failed: its reason.
pub(crate) async fn finish(
    client: &Client,
    mut operation: Value,
    cx: &Context,
) -> anyhow::Result<Value> {
    let id = operation.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bar = bar(cx);
    let mut wait = FIRST_LOOK;
    while operation.get("status").and_then(Value::as_str) == Some("running") {
        let number = |name| operation.get(name).and_then(Value::as_u64);
        if let Some(total) = number("counted") {
            bar.set_length(total);
        }
        bar.set_position(number("done").unwrap_or(0) + skipped(&operation));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                cancel(client, &id).await?;
            }
        }
        wait = (wait * 2).min(LOOK);
        operation = client.get(&["operations", &id], &[]).await?;
    }
    bar.finish_and_clear();
    match operation.get("status").and_then(Value::as_str) {
        Some("done") => Ok(operation),
        _ => {
            let errors = operation.get("errors").map(super::table::plain).unwrap_or_default();
            let done = operation.get("done").and_then(Value::as_u64).unwrap_or(0);
            Err(anyhow!("{errors} ({done} were done)"))
        }
    }
}

/// One that ended in this moment needs no cancelling.
async fn cancel(client: &Client, id: &str) -> Result<(), ClientError> {
    match client.post(&["operations", id, "cancel"], &json!({})).await {
        Err(ClientError::Api { status: 409, .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Those left alone.
pub(crate) fn skipped(operation: &Value) -> u64 {
    let reasons = operation.get("skipped").and_then(Value::as_object);
    reasons.into_iter().flat_map(|reasons| reasons.values()).filter_map(Value::as_u64).sum()
}

/// On standard error, where a person is.
fn bar(cx: &Context) -> ProgressBar {
    if !cx.interactive {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let template = "{wide_bar} {pos}/{len} {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
