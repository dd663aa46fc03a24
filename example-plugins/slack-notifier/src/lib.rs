//! Tells a Slack channel what somebody should know: large charges, payments that failed, and
//! trouble in the host itself.

use serde::{Deserialize, Serialize};
use signalbox_sdk::prelude::*;

plugin! {
    name: "slack-notifier",
    receivers: [large_charge, failed_charge, failed_invoice, dead, paused],
    requests: [http("POST https://hooks.slack.com/services/*")],
    ordering: "none",
    limits: { cpu: "200ms", memory: "16MiB" },
}

/// From this many cents on a charge is news, unless the operator sets `min_amount`.
const LARGE: i64 = 100_000;

#[derive(Serialize)]
struct Message<'a> {
    text: &'a str,
}

/// Post one line, after the commit.
fn say(text: &str) -> Result<(), Failure> {
    let webhook = config::get("webhook");
    let webhook = webhook.or_retry("set `webhook` in [plugin.slack-notifier.settings]")?;
    outbox::post(webhook).json(&Message { text }).send()?;
    Ok(())
}

/// A text of somebody else's, so that it is no markup of Slack's.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `120000 usd` is `1200.00 USD`; currencies without cents come out a hundred times too small, which
/// a plugin of your own would mend.
fn money(amount: i64, currency: &str) -> String {
    format!("{}.{:02} {}", amount / 100, amount % 100, plain(currency).to_uppercase())
}

#[derive(Deserialize)]
struct Charge {
    id: String,
    amount: i64,
    currency: String,
    failure_message: Option<String>,
}

#[receiver("charge.succeeded")]
fn large_charge(event: &Event) -> Result<(), Failure> {
    let charge: Charge = event.object()?;
    if charge.amount < config::parse("min_amount")?.unwrap_or(LARGE) {
        return Ok(());
    }
    let amount = money(charge.amount, &charge.currency);
    say(&format!(":moneybag: {amount} ({})", plain(&charge.id)))
}

#[receiver("charge.failed")]
fn failed_charge(event: &Event) -> Result<(), Failure> {
    let charge: Charge = event.object()?;
    let why = charge.failure_message.as_deref().unwrap_or("no reason was given");
    let amount = money(charge.amount, &charge.currency);
    say(&format!(":warning: {amount} failed ({}): {}", plain(&charge.id), plain(why)))
}

#[receiver("invoice.payment_failed")]
fn failed_invoice(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Invoice {
        id: String,
        amount_due: i64,
        currency: String,
    }
    let invoice: Invoice = event.object()?;
    let amount = money(invoice.amount_due, &invoice.currency);
    say(&format!(":warning: invoice {} of {amount} could not be paid", plain(&invoice.id)))
}

/// A delivery was given up, of any plugin.
#[receiver("signalbox.delivery.dead", provider = "signalbox")]
fn dead(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Dead {
        id: String,
        r#type: String,
        plugin: String,
        reason: String,
    }
    let dead: Dead = event.object()?;
    let first = dead.reason.lines().next().unwrap_or_default();
    say(&format!(
        ":skull: {} gave up {} ({}): {}",
        plain(&dead.plugin),
        plain(&dead.r#type),
        plain(&dead.id),
        plain(first)
    ))
}

#[receiver("signalbox.plugin.paused", provider = "signalbox")]
fn paused(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Paused {
        name: String,
        reason: String,
    }
    let paused: Paused = event.object()?;
    say(&format!(":pause_button: {} is paused: {}", plain(&paused.name), plain(&paused.reason)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox_sdk::testing::{Host, signalbox, stripe};

    use super::*;

    const WEBHOOK: &str = "https://hooks.slack.com/services/T0/B0/x";

    fn host() -> Host {
        Host::new().with_setting("webhook", WEBHOOK)
    }

    fn charge(kind: &str, amount: i64, why: Value) -> Event {
        let charge =
            json!({"id": "ch_1", "amount": amount, "currency": "usd", "failure_message": why});
        stripe(kind, charge)
    }

    /// What the channel is told of one event.
    fn told(host: &mut Host, event: &Event) -> Option<String> {
        let run = host.deliver(&PLUGIN, event).expect_ok();
        let post = run.effects.first()?;
        assert_eq!(post.url(), Some(WEBHOOK));
        Some(post.json()["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn only_large_charges_are_news() {
        let large = charge("charge.succeeded", 120_000, Value::Null);
        assert_eq!(told(&mut host(), &large).as_deref(), Some(":moneybag: 1200.00 USD (ch_1)"));
        let small = charge("charge.succeeded", 99_999, Value::Null);
        assert_eq!(told(&mut host(), &small), None);
        assert!(told(&mut host().with_setting("min_amount", "50"), &small).is_some());
    }

    #[test]
    fn failures_and_trouble_are_told_as_plain_text() {
        let failed = charge("charge.failed", 5, "<!channel> & more".into());
        assert_eq!(
            told(&mut host(), &failed).unwrap(),
            ":warning: 0.05 USD failed (ch_1): &lt;!channel&gt; &amp; more"
        );
        let invoice = json!({"id": "in_1", "amount_due": 1000, "currency": "eur"});
        assert_eq!(
            told(&mut host(), &stripe("invoice.payment_failed", invoice)).unwrap(),
            ":warning: invoice in_1 of 10.00 EUR could not be paid"
        );
        let dead = json!({
            "object": "delivery", "id": "stripe.evt_1.ledger", "type": "charge.succeeded",
            "plugin": "ledger", "reason": "it trapped\nwith a stack",
        });
        assert_eq!(
            told(&mut host(), &signalbox("signalbox.delivery.dead", dead)).unwrap(),
            ":skull: ledger gave up charge.succeeded (stripe.evt_1.ledger): it trapped"
        );
        let paused = json!({"object": "plugin", "name": "ledger", "reason": "10 failures"});
        assert_eq!(
            told(&mut host(), &signalbox("signalbox.plugin.paused", paused)).unwrap(),
            ":pause_button: ledger is paused: 10 failures"
        );
    }

    #[test]
    fn without_a_webhook_it_asks_for_one() {
        let run = Host::new().deliver(&PLUGIN, &charge("charge.failed", 1, Value::Null));
        assert!(run.expect_retry().contains("set `webhook`"));
    }
}
