//! Where Stripe's API has an object: by its kind, a collection and the identifier.
//!
//! Only what can be fetched by its identifier alone. Cards, bank accounts, discounts, line items,
//! reversals and the like live below another object that the mirror does not know for sure, and are
//! not here.

/// Whether Stripe answers 404 for one that was there: because it can be deleted without a trace, or
/// because it is not kept. Of any other kind a 404 says that the key is another account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Stays,
    Goes,
}

use Ends::{Goes, Stays};

/// Kind, collection, and whether it can vanish. In the order of their kinds.
const COLLECTIONS: &[(&str, &str, Ends)] = &[
    ("account", "accounts", Goes),
    ("apple_pay_domain", "apple_pay/domains", Goes),
    ("application_fee", "application_fees", Stays),
    ("balance_transaction", "balance_transactions", Stays),
    ("billing.alert", "billing/alerts", Stays),
    ("billing.credit_balance_transaction", "billing/credit_balance_transactions", Stays),
    ("billing.credit_grant", "billing/credit_grants", Stays),
    ("billing.meter", "billing/meters", Stays),
    ("billing_portal.configuration", "billing_portal/configurations", Stays),
    ("charge", "charges", Stays),
    ("checkout.session", "checkout/sessions", Stays),
    ("climate.order", "climate/orders", Stays),
    ("confirmation_token", "confirmation_tokens", Goes),
    ("coupon", "coupons", Goes),
    ("credit_note", "credit_notes", Stays),
    // What is left of a deleted one is answered, with `deleted`.
    ("customer", "customers", Stays),
    ("dispute", "disputes", Stays),
    ("entitlements.feature", "entitlements/features", Stays),
    ("file", "files", Goes),
    ("file_link", "file_links", Stays),
    ("financial_connections.account", "financial_connections/accounts", Stays),
    ("financial_connections.session", "financial_connections/sessions", Goes),
    ("forwarding.request", "forwarding/requests", Stays),
    ("identity.verification_report", "identity/verification_reports", Stays),
    ("identity.verification_session", "identity/verification_sessions", Stays),
    ("invoice", "invoices", Goes),
    ("invoice_payment", "invoice_payments", Stays),
    ("invoiceitem", "invoiceitems", Goes),
    ("issuing.authorization", "issuing/authorizations", Stays),
    ("issuing.card", "issuing/cards", Stays),
    ("issuing.cardholder", "issuing/cardholders", Stays),
    ("issuing.dispute", "issuing/disputes", Stays),
    ("issuing.personalization_design", "issuing/personalization_designs", Stays),
    ("issuing.physical_bundle", "issuing/physical_bundles", Stays),
    ("issuing.token", "issuing/tokens", Stays),
    ("issuing.transaction", "issuing/transactions", Stays),
    ("mandate", "mandates", Stays),
    ("payment_intent", "payment_intents", Stays),
    ("payment_link", "payment_links", Stays),
    ("payment_method", "payment_methods", Stays),
    ("payment_method_configuration", "payment_method_configurations", Stays),
    ("payment_method_domain", "payment_method_domains", Stays),
    ("payout", "payouts", Stays),
    ("plan", "plans", Goes),
    ("price", "prices", Stays),
    ("product", "products", Goes),
    ("promotion_code", "promotion_codes", Stays),
    ("quote", "quotes", Stays),
    ("radar.early_fraud_warning", "radar/early_fraud_warnings", Stays),
    ("radar.value_list", "radar/value_lists", Goes),
    ("radar.value_list_item", "radar/value_list_items", Goes),
    ("refund", "refunds", Stays),
    ("reporting.report_run", "reporting/report_runs", Stays),
    ("reporting.report_type", "reporting/report_types", Stays),
    ("review", "reviews", Stays),
    ("scheduled_query_run", "sigma/scheduled_query_runs", Stays),
    ("setup_intent", "setup_intents", Stays),
    ("shipping_rate", "shipping_rates", Stays),
    ("source", "sources", Stays),
    ("subscription", "subscriptions", Stays),
    ("subscription_item", "subscription_items", Goes),
    ("subscription_schedule", "subscription_schedules", Stays),
    ("tax.calculation", "tax/calculations", Goes),
    ("tax.registration", "tax/registrations", Stays),
    ("tax.transaction", "tax/transactions", Stays),
    ("tax_id", "tax_ids", Goes),
    ("tax_rate", "tax_rates", Stays),
    ("terminal.configuration", "terminal/configurations", Goes),
    ("terminal.location", "terminal/locations", Goes),
    ("terminal.reader", "terminal/readers", Goes),
    ("test_helpers.test_clock", "test_helpers/test_clocks", Goes),
    ("token", "tokens", Goes),
    ("topup", "topups", Stays),
    ("transfer", "transfers", Stays),
    ("treasury.credit_reversal", "treasury/credit_reversals", Stays),
    ("treasury.debit_reversal", "treasury/debit_reversals", Stays),
    ("treasury.financial_account", "treasury/financial_accounts", Stays),
    ("treasury.inbound_transfer", "treasury/inbound_transfers", Stays),
    ("treasury.outbound_payment", "treasury/outbound_payments", Stays),
    ("treasury.outbound_transfer", "treasury/outbound_transfers", Stays),
    ("treasury.received_credit", "treasury/received_credits", Stays),
    ("treasury.received_debit", "treasury/received_debits", Stays),
    ("treasury.transaction", "treasury/transactions", Stays),
    ("treasury.transaction_entry", "treasury/transaction_entries", Stays),
    ("webhook_endpoint", "webhook_endpoints", Goes),
];

/// The path of all objects of the kind.
pub(super) fn collection(kind: &str) -> Option<String> {
    let (_, collection, _) = entry(kind)?;
    Some(format!("/v1/{collection}"))
}

fn entry(kind: &str) -> Option<&'static (&'static str, &'static str, Ends)> {
    let at = COLLECTIONS.binary_search_by_key(&kind, |(kind, ..)| kind).ok()?;
    COLLECTIONS.get(at)
}

/// Every kind that has a path.
#[cfg(test)]
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    COLLECTIONS.iter().map(|(kind, ..)| *kind)
}

/// The path of the object, and whether it can vanish; `None` for one that has no path of its own.
///
/// People choose identifiers of coupons, plans and products: `25 % off` is one. Whatever is not plain
/// is percent-encoded, so that it stays one part of the path. What could lead to another path even so,
/// once somebody decodes it, has none: nothing an event says may.
pub(super) fn path(kind: &str, id: &str) -> Option<(String, Ends)> {
    let (_, collection, ends) = entry(kind)?;
    let climbs = id.split(['/', '\\']).any(|part| matches!(part, "" | "." | ".."));
    if climbs || id.chars().any(char::is_control) {
        return None;
    }
    let mut path = format!("/v1/{collection}/");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    Some((path, *ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_order_and_each_once() {
        assert!(COLLECTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn an_identifier_stays_within_its_collection() {
        let of = |kind, id| path(kind, id).map(|(path, _)| path);
        assert_eq!(of("customer", "cus_1").unwrap(), "/v1/customers/cus_1");
        assert_eq!(of("checkout.session", "cs_1").unwrap(), "/v1/checkout/sessions/cs_1");
        assert_eq!(of("plan", "pro-2.1~b").unwrap(), "/v1/plans/pro-2.1~b");
        for (id, path) in [
            ("25 % off", "25%20%25%20off"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("gr\u{f6}\u{df}e", "gr%C3%B6%C3%9Fe"),
            // No dots, once decoded: a name that looks like it.
            ("%2e%2e", "%252e%252e"),
            ("...", "..."),
        ] {
            assert_eq!(of("plan", id).unwrap(), format!("/v1/plans/{path}"), "{id}");
        }
        for id in ["", ".", "..", "a/../b", "../b", "a/", "/a", "a\\..\\b", "a\nb", "a\u{0}"] {
            assert_eq!(of("plan", id), None, "{id}");
        }
        for kind in ["card", "bank_account", "event", "balance", "v2.core.event", "Customer", ""] {
            assert_eq!(of(kind, "x_1"), None, "{kind}");
        }
    }

    #[test]
    fn what_stripe_keeps_is_not_taken_for_gone() {
        let ends = |kind| path(kind, "x").unwrap().1;
        assert_eq!([ends("charge"), ends("customer"), ends("subscription")], [Stays; 3]);
        assert_eq!([ends("product"), ends("coupon"), ends("invoice")], [Goes; 3]);
    }
}
