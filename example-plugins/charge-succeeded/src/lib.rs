//! Logs each charge that succeeds and counts them per customer.

use serde::Deserialize;
use signalbox_sdk::prelude::*;

plugin! {
    name: "charge-succeeded",
    receivers: [count_charge],
}

/// The few fields of a Stripe charge that are needed here.
#[derive(Deserialize)]
struct Charge {
    id: String,
    amount: i64,
    currency: String,
    customer: Option<String>,
}

#[receiver("charge.succeeded")]
fn count_charge(event: &Event) -> Result<(), Failure> {
    let charge: Charge = event.object()?;
    let payer = charge.customer.as_deref().unwrap_or("guest");
    let count = kv::counter(format!("charges/{payer}")).add(1)?;
    info!("charge {} of {} {}, number {count} of {payer}", charge.id, charge.amount, charge.currency;
          charge = charge.id, amount = charge.amount, currency = charge.currency, customer = payer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox_sdk::testing::{Host, stripe};

    use super::*;

    fn charge(id: &str, customer: Value) -> Event {
        let charge = json!({"id": id, "amount": 1200, "currency": "usd", "customer": customer});
        stripe("charge.succeeded", charge)
    }

    #[test]
    fn charges_are_counted_per_customer() {
        let mut host = Host::new();
        for (id, customer) in [("ch_1", "cus_1"), ("ch_2", "cus_2"), ("ch_3", "cus_1")] {
            host.deliver(&PLUGIN, &charge(id, customer.into())).expect_ok();
        }
        let run = host.deliver(&PLUGIN, &charge("ch_4", Value::Null)).expect_ok();
        assert_eq!(run.logs[0].message, "charge ch_4 of 1200 usd, number 1 of guest");
        assert_eq!(run.logs[0].attribute("amount"), Some("1200"));
        assert_eq!(host.get::<i64>("charges/cus_1"), Some(2));
        assert_eq!(host.get::<i64>("charges/cus_2"), Some(1));
        assert_eq!(host.get::<i64>("charges/guest"), Some(1));
    }

    #[test]
    fn what_is_no_charge_is_rejected() {
        let run = Host::new().deliver(&PLUGIN, &stripe("charge.succeeded", json!({"id": 1})));
        assert!(
            run.expect_reject().starts_with("`data.object` of `charge.succeeded` is not Charge")
        );
    }
}
