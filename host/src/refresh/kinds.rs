//! Which of Stripe's kinds can be read from a list, and how; and why the others cannot.
//!
//! As Stripe's reference has its lists. Not where an object of a kind is (`paths`).

/// Kinds that Stripe lists by the time they were made (`created[gte]`), for a whole account.
pub const BY_TIME: [&str; 39] = [
    "customer",
    "product",
    "price",
    "plan",
    "coupon",
    "promotion_code",
    "tax_rate",
    "shipping_rate",
    "subscription",
    "subscription_schedule",
    "invoice",
    "invoiceitem",
    "credit_note",
    "payment_intent",
    "setup_intent",
    "charge",
    "refund",
    "dispute",
    "checkout.session",
    "balance_transaction",
    "payout",
    "transfer",
    "topup",
    "application_fee",
    "review",
    "file",
    "file_link",
    "forwarding.request",
    "identity.verification_report",
    "identity.verification_session",
    "radar.early_fraud_warning",
    "radar.value_list",
    "issuing.authorization",
    "issuing.card",
    "issuing.cardholder",
    "issuing.dispute",
    "issuing.transaction",
    "reporting.report_run",
    "treasury.financial_account",
];

/// Kinds that Stripe lists for a whole account, and not by time.
pub const BY_PAGE: [&str; 23] = [
    "apple_pay_domain",
    "billing.alert",
    "billing.credit_grant",
    "billing.meter",
    "billing_portal.configuration",
    "climate.order",
    "entitlements.feature",
    "financial_connections.account",
    "invoice_payment",
    "issuing.personalization_design",
    "issuing.physical_bundle",
    "payment_link",
    "payment_method_configuration",
    "payment_method_domain",
    "quote",
    "reporting.report_type",
    "scheduled_query_run",
    "tax.registration",
    "tax_id",
    "terminal.configuration",
    "terminal.location",
    "terminal.reader",
    "test_helpers.test_clock",
];

const NO_LIST: &str = "Stripe has no list of them";
const OF_CUSTOMER: &str = "Stripe lists them below a customer alone";
const OF_ACCOUNT: &str = "Stripe lists them below a financial account alone";

/// Kinds with a path of their own that are in no list of an account's, and why.
pub const UNLISTED: [(&str, &str); 22] = [
    ("account", "each connected account is kept as its own events show it"),
    ("billing.credit_balance_transaction", OF_CUSTOMER),
    ("confirmation_token", NO_LIST),
    ("financial_connections.session", NO_LIST),
    ("issuing.token", "Stripe lists them below a card alone"),
    ("mandate", NO_LIST),
    ("payment_method", OF_CUSTOMER),
    ("radar.value_list_item", "Stripe lists them below a value list alone"),
    ("source", NO_LIST),
    ("subscription_item", "Stripe lists them below a subscription alone"),
    ("tax.calculation", NO_LIST),
    ("tax.transaction", NO_LIST),
    ("token", NO_LIST),
    ("treasury.credit_reversal", OF_ACCOUNT),
    ("treasury.debit_reversal", OF_ACCOUNT),
    ("treasury.inbound_transfer", OF_ACCOUNT),
    ("treasury.outbound_payment", OF_ACCOUNT),
    ("treasury.outbound_transfer", OF_ACCOUNT),
    ("treasury.received_credit", OF_ACCOUNT),
    ("treasury.received_debit", OF_ACCOUNT),
    ("treasury.transaction", OF_ACCOUNT),
    ("treasury.transaction_entry", OF_ACCOUNT),
];

/// Those no event tells of.
pub const ELSEWHERE: [(&str, &str); 1] =
    [("webhook_endpoint", "`signalbox endpoints sync` compares them")];

/// All that can be read from a list.
pub(super) fn listed() -> impl Iterator<Item = &'static str> {
    BY_TIME.into_iter().chain(BY_PAGE)
}

/// Whether Stripe lists the kind by time.
pub(super) fn is_by_time(kind: &str) -> bool {
    BY_TIME.contains(&kind)
}

/// The names of all that can be.
pub(super) fn named() -> String {
    listed().collect::<Vec<_>>().join(", ")
}

/// Why a kind is in no list.
pub(super) fn why_not(kind: &str) -> &'static str {
    let known = UNLISTED.into_iter().chain(ELSEWHERE).find(|(known, _)| *known == kind);
    known.map_or("Stripe has no list of them for a whole account, as far as is known", |(_, w)| w)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::paths;
    use super::*;

    #[test]
    fn every_kind_with_a_path_is_listed_or_it_is_said_why_not() {
        let unlisted = UNLISTED.into_iter().chain(ELSEWHERE).map(|(kind, _)| kind);
        let all: Vec<&str> = listed().chain(unlisted).collect();
        let each: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(each.len(), all.len(), "one stands twice");
        assert_eq!(each, paths::kinds().collect());
        assert_eq!(why_not("mandate"), NO_LIST);
        assert!(why_not("card").contains("as far as is known"));
    }
}
