//! Stripe's API: the accounts the operator has keys for, and calls with them.
//!
//! Not Stripe's webhooks (`provider::stripe`) and not what is done with an answer. A call needs an
//! [`Authority`]: a key together with the one account whose objects it may touch. There is no other
//! way to name an account, so a key is never used for another account's event.

mod account;
mod authority;
mod call;
mod client;
mod error;
mod key;
mod limits;
mod list;
mod pace;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use account::{Account, AccountId, AccountIdError, Accounts, AccountsError, Connected};
pub use authority::{Authority, NoKey};
pub use call::{Answer, Call, Method};
pub use client::{Calls, StripeApi, StripeApiError};
pub use error::ApiError;
pub use key::{ApiKey, KeyError, Mode};
pub use limits::ApiLimits;
pub use list::{Item, List, Page};
