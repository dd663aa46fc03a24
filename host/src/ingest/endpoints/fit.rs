//! Whether an event belongs to the endpoint it came in at.
//!
//! Only what is declared of the endpoint is enforced. Not the proof of the event.

use crate::domain::endpoint::{Endpoint, Validation};
use crate::domain::event::VerifiedEvent;
use crate::provider::Rejection;

/// Why `event` cannot be one of `endpoint`'s; `None` when it can. `own` is the provider's name for
/// the endpoint's own account, where that is known.
///
/// As Stripe has it: an account's endpoint gets the account's own events, which name no account; a
/// Connect endpoint gets those of connected accounts, each of which names its own.
#[must_use]
pub fn unfit(endpoint: &Endpoint, event: &VerifiedEvent, own: Option<&str>) -> Option<Rejection> {
    let refuse = |code, message| Some(Rejection { code, message });
    let mode = |live| if live { "live" } else { "test" };
    match endpoint.livemode {
        Some(declared) if declared != event.livemode => {
            return refuse(
                "livemode_mismatch",
                format!(
                    "the event is of {} mode, and this endpoint takes {} mode; make an endpoint for \
                     each mode, or do not declare `livemode`",
                    mode(event.livemode),
                    mode(declared)
                ),
            );
        }
        None if endpoint.validation == Validation::None
            && event.livemode
            && !endpoint.force_unverified =>
        {
            let message = "live events are not believed without proof; set `verify_signature`";
            return refuse("livemode_mismatch", message.to_owned());
        }
        _ => {}
    }
    let foreign = event.account.as_deref().filter(|account| Some(*account) != own);
    match (endpoint.connect, foreign) {
        (Some(false), Some(account)) => refuse(
            "account_unexpected",
            format!(
                "the event belongs to the connected account {account}, and this endpoint takes its \
                 own account's events; post it to a Connect endpoint, or declare `connect = true`"
            ),
        ),
        (Some(true), None) => refuse(
            "account_missing",
            "the event names no connected account, and this endpoint takes those of connected \
             accounts; post it to the account's own endpoint, or declare `connect = false`"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::testing::endpoint;
    use crate::store::memory::event;

    #[test]
    fn only_what_is_declared_is_enforced() {
        let code = |livemode, connect, live, account: Option<&str>, own| {
            let endpoint = Endpoint { livemode, connect, ..endpoint(1) };
            let mut event = event("evt_1", "a");
            event.livemode = live;
            event.account = account.map(str::to_owned);
            unfit(&endpoint, &event, own).map(|rejection| rejection.code)
        };
        for (live, account) in [(true, None), (false, Some("acct_1"))] {
            assert_eq!(code(None, None, live, account, None), None);
        }
        assert_eq!(code(Some(true), None, false, None, None), Some("livemode_mismatch"));
        assert_eq!(code(Some(false), None, true, None, None), Some("livemode_mismatch"));
        assert_eq!(code(Some(true), None, true, None, None), None);
        let account = Some("acct_1");
        assert_eq!(code(None, Some(false), true, account, None), Some("account_unexpected"));
        assert_eq!(code(None, Some(false), true, account, account), None, "its own account");
        assert_eq!(code(None, Some(true), true, None, None), Some("account_missing"));
        assert_eq!(code(None, Some(true), true, account, None), None);
    }
}
