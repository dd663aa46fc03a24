//! Counts the charges of each customer.

use serde::Deserialize;
use signalbox_sdk::prelude::*;

plugin! {
    name: "{{name}}",
    receivers: [count_charge],
}

/// The few fields of a Stripe charge that are needed here.
#[derive(Deserialize)]
struct Charge {
    id: String,
    customer: Option<String>,
}

#[receiver("charge.succeeded")]
fn count_charge(event: &Event) -> Result<(), Failure> {
    let charge: Charge = event.object()?;
    let payer = charge.customer.as_deref().unwrap_or("guest");
    let count = kv::counter(format!("charges/{payer}")).add(1)?;
    info!("charge {} is number {count} of {payer}", charge.id; customer = payer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_sdk::testing::{Host, stripe};

    use super::*;

    #[test]
    fn charges_are_counted_per_customer() {
        let mut host = Host::new();
        for (id, customer) in [("ch_1", "cus_1"), ("ch_2", "cus_2"), ("ch_3", "cus_1")] {
            let charge = json!({"id": id, "customer": customer});
            host.deliver(&PLUGIN, &stripe("charge.succeeded", charge)).expect_ok();
        }
        assert_eq!(host.get::<i64>("charges/cus_1"), Some(2));
    }

    #[test]
    fn what_is_no_charge_is_rejected() {
        let event = stripe("charge.succeeded", json!({"id": 1}));
        assert!(Host::new().deliver(&PLUGIN, &event).expect_reject().contains("is not Charge"));
    }
}
