//! Logs each payment method that is attached to a customer.

use serde::Deserialize;
use signalbox_sdk::prelude::*;

plugin! {
    name: "payment-method-attached",
    receivers: [log_payment_method],
}

/// The few fields of a Stripe payment method that are needed here.
#[derive(Deserialize)]
struct PaymentMethod {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    customer: Option<String>,
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    brand: String,
    last4: Option<String>,
}

#[receiver("payment_method.attached")]
fn log_payment_method(event: &Event) -> Result<(), Failure> {
    let method: PaymentMethod = event.object()?;
    let what = match &method.card {
        Some(card) => format!("{} ending in {}", card.brand, card.last4.as_deref().unwrap_or("?")),
        None => method.kind.clone(),
    };
    let customer = method.customer.as_deref().unwrap_or("nobody");
    info!("{what} ({}) is attached to {customer}", method.id;
          payment_method = method.id, kind = method.kind, customer = customer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_sdk::testing::{Host, stripe};

    use super::*;

    #[test]
    fn cards_and_other_methods_are_named() {
        let mut host = Host::new();
        let card = json!({"id": "pm_1", "type": "card", "customer": "cus_1",
                          "card": {"brand": "visa", "last4": "4242"}});
        let run = host.deliver(&PLUGIN, &stripe("payment_method.attached", card)).expect_ok();
        assert_eq!(run.logs[0].message, "visa ending in 4242 (pm_1) is attached to cus_1");
        assert_eq!(run.logs[0].attribute("payment_method"), Some("pm_1"));

        let debit = json!({"id": "pm_2", "type": "sepa_debit", "customer": null});
        let run = host.deliver(&PLUGIN, &stripe("payment_method.attached", debit)).expect_ok();
        assert_eq!(run.logs[0].message, "sepa_debit (pm_2) is attached to nobody");
    }
}
