//! Fails in every way a plugin can, one event type for each.
//!
//! Each receiver counts its runs before it fails: the count stays where it was, because a failed
//! run leaves nothing behind.

use signalbox_sdk::prelude::*;

plugin! {
    name: "fails-on-purpose",
    receivers: [twice, never, panics, endless, greedy],
}

/// The attempt that succeeds in the end.
const LUCKY: u32 = 3;

/// Asks for another attempt twice, then succeeds.
#[receiver("invoice.payment_failed")]
fn twice(_: &Event, delivery: &Delivery) -> Result<(), Failure> {
    kv::counter("runs/twice").add(1)?;
    if delivery.attempt < LUCKY {
        retry!("attempt {} of {LUCKY}: the ledger is away", delivery.attempt);
    }
    info!("the ledger is back"; attempt = delivery.attempt);
    Ok(())
}

/// Gives the event up: a dead letter at once.
#[receiver("charge.dispute.created")]
fn never(event: &Event) -> Result<(), Failure> {
    kv::counter("runs/never").add(1)?;
    reject!("disputes such as {} are for people", event.id());
}

/// Panics: the message is in the log, and it counts against the plugin.
#[receiver("payout.failed")]
fn panics(event: &Event) -> Result<(), Failure> {
    kv::counter("runs/panics").add(1)?;
    panic!("nobody thought of {}", event.kind());
}

/// Never ends by itself: the host stops it.
#[receiver("balance.available")]
fn endless(_: &Event) -> Result<(), Failure> {
    kv::counter("runs/endless").add(1)?;
    loop {
        std::hint::spin_loop();
    }
}

/// Asks for memory until the host says no.
#[receiver("file.created")]
fn greedy(_: &Event) -> Result<(), Failure> {
    const MEBIBYTE: usize = 1 << 20;
    kv::counter("runs/greedy").add(1)?;
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1; MEBIBYTE]));
    }
}

// `endless` and `greedy` need a host that stops them: there is no native test of theirs.
#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_sdk::testing::{Host, Verdict, delivery, stripe};

    use super::*;

    #[test]
    fn the_third_attempt_succeeds_and_counts_once() {
        let mut host = Host::new();
        let event = stripe("invoice.payment_failed", json!({"id": "in_1"}));
        for attempt in 1..LUCKY {
            let run = host.run(|| twice(&event, &delivery(attempt)));
            assert!(run.expect_retry().ends_with("the ledger is away"));
            assert_eq!(host.get::<i64>("runs/twice"), None);
        }
        host.run(|| twice(&event, &delivery(LUCKY))).expect_ok();
        assert_eq!(host.get::<i64>("runs/twice"), Some(1));
    }

    #[test]
    fn rejected_and_panicked_runs_leave_nothing() {
        let mut host = Host::new();
        let run = host.deliver(&PLUGIN, &stripe("charge.dispute.created", json!({})));
        assert_eq!(run.expect_reject(), "disputes such as evt_test are for people");

        let run = host.deliver(&PLUGIN, &stripe("payout.failed", json!({})));
        assert_eq!(
            run.verdict,
            Verdict::Crashed("panicked: nobody thought of payout.failed".into())
        );
        assert_eq!(host.keys().count(), 0);
    }
}
