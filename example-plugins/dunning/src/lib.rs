//! Reminds a customer of an invoice that could not be paid: after three days, then twice more, and
//! never again once it is paid.
//!
//! The three days are a durable timer. It is set, counted and withdrawn in the same transactions as
//! the state that belongs to it, so there is no reminder too many after a crash, a retry or a
//! replay.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalbox_sdk::outbox::EffectId;
use signalbox_sdk::prelude::*;

plugin! {
    name: "dunning",
    receivers: [payment_failed, paid, due],
    requests: [
        http("POST https://api.postmarkapp.com/email"),
        secret("POSTMARK_TOKEN"),
        emit("reminder.due"),
    ],
    limits: { cpu: "200ms", memory: "16MiB" },
}

/// Reminders of one invoice before it is left to people.
const MOST: u32 = 3;

const DAY: Duration = Duration::from_secs(86_400);

/// The few fields of a Stripe invoice that are needed here.
#[derive(Deserialize)]
struct Invoice {
    id: String,
    customer_email: Option<String>,
    amount_due: i64,
    currency: String,
    hosted_invoice_url: Option<String>,
}

/// An unpaid invoice, under `case/INVOICE`.
#[derive(Serialize, Deserialize)]
struct Case {
    email: String,
    amount: String,
    pay_at: String,
    /// Sent so far.
    reminders: u32,
    /// The timer of the next.
    timer: EffectId,
}

/// What the timer brings.
#[derive(Serialize, Deserialize)]
struct Due {
    invoice: String,
}

/// An e-mail, as Postmark takes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mail<'a> {
    from: String,
    to: &'a str,
    subject: String,
    text_body: String,
}

fn key(invoice: &str) -> String {
    format!("case/{invoice}")
}

/// Have `due` run in a few days.
fn remind_later(invoice: &str) -> Result<EffectId, Failure> {
    let days = config::parse::<u32>("days")?.unwrap_or(3);
    let due = Due { invoice: invoice.to_owned() };
    Ok(timer::set("reminder.due", &due, DAY * days)?)
}

/// Stripe tries to collect a payment several times: the first failure opens the case.
#[receiver("invoice.payment_failed")]
fn payment_failed(event: &Event) -> Result<(), Failure> {
    let invoice: Invoice = event.object()?;
    let key = key(&invoice.id);
    if kv::get::<Case>(&key)?.is_some() {
        return Ok(());
    }
    let Some(email) = invoice.customer_email else {
        warn!("{} has no e-mail address to remind", invoice.id);
        return Ok(());
    };
    let case = Case {
        email,
        amount: format!("{} {}", invoice.amount_due, invoice.currency),
        pay_at: invoice.hosted_invoice_url.unwrap_or_default(),
        reminders: 0,
        timer: remind_later(&invoice.id)?,
    };
    kv::set(key, &case)?;
    Ok(())
}

#[receiver("invoice.paid")]
fn paid(event: &Event) -> Result<(), Failure> {
    let invoice: Invoice = event.object()?;
    let key = key(&invoice.id);
    let Some(case) = kv::get::<Case>(&key)? else { return Ok(()) };
    // Where the timer fires at this very moment, `due` finds no case and sends nothing.
    let waited = timer::cancel(&case.timer)?;
    info!("{} is paid after {} reminders", invoice.id, case.reminders; waited = waited);
    kv::delete(key)?;
    Ok(())
}

#[receiver("reminder.due", provider = "dunning")]
fn due(event: &Event) -> Result<(), Failure> {
    let Due { invoice } = event.parse()?;
    let key = key(&invoice);
    let Some(mut case) = kv::get::<Case>(&key)? else { return Ok(()) };
    if case.reminders == MOST {
        warn!("{invoice} is unpaid after {MOST} reminders: a case for people"; email = case.email);
        kv::counter("given-up").add(1)?;
        kv::delete(key)?;
        return Ok(());
    }
    case.reminders += 1;
    outbox::post("https://api.postmarkapp.com/email")
        .secret_header("x-postmark-server-token", "{{secret:POSTMARK_TOKEN}}")
        .json(&Mail {
            from: config::get("from").or_retry("set `from` in [plugin.dunning.settings]")?,
            to: &case.email,
            subject: format!("Reminder {} of {MOST}: your invoice {invoice}", case.reminders),
            text_body: format!("{} are open. Pay at {}", case.amount, case.pay_at),
        })
        .send()?;
    case.timer = remind_later(&invoice)?;
    info!("reminder {} of {invoice}", case.reminders);
    kv::set(key, &case)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox_sdk::testing::{Host, stripe_as};

    use super::*;

    fn invoice(event: &str, kind: &str) -> Event {
        let invoice = json!({
            "id": "in_1", "customer_email": "jenny@example.com", "amount_due": 1200,
            "currency": "usd", "hosted_invoice_url": "https://invoice.example.com/in_1",
        });
        stripe_as(event, kind, invoice)
    }

    fn host() -> Host {
        Host::new().with_setting("from", "billing@example.com")
    }

    fn only_timer(host: &Host) -> EffectId {
        let timers: Vec<_> = host.waiting().filter(|effect| effect.kind().is_some()).collect();
        assert_eq!(timers.len(), 1, "one timer at a time");
        assert_eq!(timers[0].delay, 3 * DAY);
        timers[0].id.clone()
    }

    #[test]
    fn three_reminders_and_no_more() {
        let mut host = host();
        host.deliver(&PLUGIN, &invoice("evt_1", "invoice.payment_failed")).expect_ok();
        assert_eq!(host.waiting().count(), 1, "nothing is sent yet");
        for number in 1..=MOST {
            let timer = only_timer(&host);
            let run = host.fire(&PLUGIN, &timer).expect_ok();
            let mail = &run.effects[0];
            assert_eq!(mail.url(), Some("https://api.postmarkapp.com/email"));
            assert_eq!(mail.header("x-postmark-server-token"), Some("{{secret:POSTMARK_TOKEN}}"));
            assert_eq!(mail.json()["To"], "jenny@example.com");
            let subject = format!("Reminder {number} of 3: your invoice in_1");
            assert_eq!(mail.json()["Subject"], subject.as_str());
        }
        let timer = only_timer(&host);
        let run = host.fire(&PLUGIN, &timer).expect_ok();
        assert!(run.effects.is_empty() && run.logged("a case for people"));
        assert_eq!(host.get::<i64>("given-up"), Some(1));
        assert_eq!(host.get::<Value>("case/in_1"), None);
    }

    #[test]
    fn a_payment_withdraws_the_timer() {
        let mut host = host();
        host.deliver(&PLUGIN, &invoice("evt_1", "invoice.payment_failed")).expect_ok();
        let timer = only_timer(&host);
        host.deliver(&PLUGIN, &invoice("evt_2", "invoice.paid")).expect_ok();
        assert_eq!(host.waiting().count(), 0, "{timer} is withdrawn");
        assert_eq!(host.keys().count(), 0);
        // Another invoice of the customer's, later, is another case.
        host.deliver(&PLUGIN, &invoice("evt_3", "invoice.payment_failed")).expect_ok();
        only_timer(&host);
    }

    #[test]
    fn a_timer_that_fires_as_the_payment_comes_sends_nothing() {
        let mut host = host();
        host.deliver(&PLUGIN, &invoice("evt_1", "invoice.payment_failed")).expect_ok();
        let case: Value = host.get("case/in_1").unwrap();
        let timer = only_timer(&host);
        host.fire(&PLUGIN, &timer).expect_ok();
        // As it was before the timer fired: the payment finds it too late to withdraw.
        host.set("case/in_1", &case);
        let run = host.deliver(&PLUGIN, &invoice("evt_2", "invoice.paid")).expect_ok();
        assert_eq!(run.logs[0].attribute("waited"), Some("false"));
        let timer = only_timer(&host);
        assert!(host.fire(&PLUGIN, &timer).expect_ok().effects.is_empty());
    }

    #[test]
    fn one_case_for_all_failures_of_an_invoice() {
        let mut host = host();
        for event in ["evt_1", "evt_2"] {
            host.deliver(&PLUGIN, &invoice(event, "invoice.payment_failed")).expect_ok();
        }
        only_timer(&host);
    }

    #[test]
    fn what_the_operator_left_out_is_told() {
        let mut host = Host::new();
        host.deliver(&PLUGIN, &invoice("evt_1", "invoice.payment_failed")).expect_ok();
        let timer = only_timer(&host);
        assert!(host.fire(&PLUGIN, &timer).expect_retry().contains("set `from`"));
        let mut host = Host::new().granting_nothing();
        let run = host.deliver(&PLUGIN, &invoice("evt_1", "invoice.payment_failed"));
        assert_eq!(run.expect_retry(), "outbox: not granted: outbox.emit `reminder.due`");
    }
}
