//! Logs whose invoice was paid, by the name of the customer in the host's mirror.

use serde::Deserialize;
use signalbox_sdk::prelude::*;

plugin! {
    name: "invoice-receipt",
    receivers: [log_receipt],
    requests: [objects("stripe customer")],
}

#[derive(Deserialize)]
struct Invoice {
    id: String,
    customer: Option<String>,
}

#[derive(Deserialize)]
struct Customer {
    name: Option<String>,
}

#[receiver("invoice.paid")]
fn log_receipt(event: &Event) -> Result<(), Failure> {
    let invoice: Invoice = event.object()?;
    let customer = invoice.customer.or_reject("an invoice of nobody")?;
    let known = objects::get::<Customer>("customer", &customer)?;
    let name = known.as_ref().and_then(|known| known.body.name.as_deref());
    let gone = known.as_ref().is_some_and(|known| known.deleted);
    let name = name.unwrap_or(&customer);
    info!("invoice {} of {name} is paid", invoice.id; customer = customer, gone = gone);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_sdk::testing::{Host, stripe};

    use super::*;

    fn paid(customer: &str) -> Event {
        stripe("invoice.paid", json!({"id": "in_1", "customer": customer}))
    }

    #[test]
    fn the_customer_is_named_as_the_mirror_knows_it() {
        let ada = json!({"id": "cus_1", "object": "customer", "name": "Ada Lovelace"});
        let mut host = Host::new().with_object("stripe", "customer", "cus_1", &ada);
        let run = host.deliver(&PLUGIN, &paid("cus_1")).expect_ok();
        assert_eq!(run.logs[0].message, "invoice in_1 of Ada Lovelace is paid");
        let run = host.deliver(&PLUGIN, &paid("cus_2")).expect_ok();
        assert_eq!(run.logs[0].message, "invoice in_1 of cus_2 is paid");
    }
}
