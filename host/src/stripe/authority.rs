//! Which key may speak of which account's objects, and the choice of one for an event.
//!
//! Pure. That a key is the account's it is configured for is asked of Stripe by the client.

use std::fmt;
use std::sync::Arc;

use super::account::{Account, AccountId, Accounts};
use super::key::Mode;

/// A key and the one account whose objects it may touch by this: the key's own, or one that is
/// connected to it. Every call takes one, and a call can name no account besides.
#[derive(Clone)]
pub struct Authority {
    account: Arc<Account>,
    on_behalf: Option<AccountId>,
}

/// Why there is no key for an event or an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoKey {
    /// No account of this name.
    #[error("there is no account `{0}` in the configuration ([[stripe.account]])")]
    Unknown(String),
    /// The named account's key is of the other mode.
    #[error(
        "the key of the account `{name}` is of {has} mode, and this is {wanted} mode; add a {wanted} \
         key as another [[stripe.account]]"
    )]
    Mode {
        /// The account.
        name: String,
        /// Its key's mode.
        has: Mode,
        /// The event's.
        wanted: Mode,
    },
    /// No key of this mode.
    #[error("there is no {0} key in the configuration; add one as a [[stripe.account]]")]
    None(Mode),
    /// More than one could be meant.
    #[error(
        "there are several {mode} keys ({}), and nothing says whose this is; name the account",
        names.join(", ")
    )]
    Ambiguous {
        /// Of which mode.
        mode: Mode,
        /// The accounts.
        names: Vec<String>,
    },
    /// The event names an account in a way that is none.
    #[error("`{0}` is no account's id")]
    Account(String),
}

impl Accounts {
    /// The key for what belongs to `event_account` (the event's `account`, or `context`; `None` for
    /// the account's own) in `mode`. `named` is the account its endpoint is tied to, if any.
    ///
    /// Nothing is guessed: where two keys could be meant, there is none.
    ///
    /// # Errors
    /// [`NoKey`], with the remedy.
    pub fn authority(
        &self,
        named: Option<&str>,
        mode: Mode,
        event_account: Option<&str>,
    ) -> Result<Authority, NoKey> {
        let id = event_account
            .map(|text| AccountId::parse(text).map_err(|_| NoKey::Account(text.to_owned())))
            .transpose()?;
        let account = match named {
            Some(name) => self.get(name).ok_or_else(|| NoKey::Unknown(name.to_owned()))?,
            None => self.fitting(mode, id.as_ref())?,
        };
        if account.mode() != mode {
            let (name, has) = (account.name.clone(), account.mode());
            return Err(NoKey::Mode { name, has, wanted: mode });
        }
        Ok(match id {
            Some(id) => Authority::on_behalf_of(account, id),
            None => Authority::own(account),
        })
    }

    fn fitting(&self, mode: Mode, id: Option<&AccountId>) -> Result<&Arc<Account>, NoKey> {
        let fitting: Vec<_> = self.iter().filter(|account| account.mode() == mode).collect();
        let own = fitting.iter().find(|account| id.is_some() && account.id.as_ref() == id);
        match (own, fitting.as_slice()) {
            (Some(account), _) | (None, [account]) => Ok(account),
            (None, []) => Err(NoKey::None(mode)),
            (None, several) => {
                let names = several.iter().map(|account| account.name.clone()).collect();
                Err(NoKey::Ambiguous { mode, names })
            }
        }
    }
}

impl Authority {
    /// For the objects of the key's own account.
    #[must_use]
    pub fn own(account: &Arc<Account>) -> Self {
        Self { account: Arc::clone(account), on_behalf: None }
    }

    /// For the objects of `id`: connected to the key's account, or that account itself.
    #[must_use]
    pub fn on_behalf_of(account: &Arc<Account>, id: AccountId) -> Self {
        let on_behalf = (account.id.as_ref() != Some(&id)).then_some(id);
        Self { account: Arc::clone(account), on_behalf }
    }

    /// Whose key it is.
    #[must_use]
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The connected account it speaks for, if not the key's own.
    #[must_use]
    pub const fn connected(&self) -> Option<&AccountId> {
        self.on_behalf.as_ref()
    }

    /// Live or test.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.account.mode()
    }
}

/// The account's name, and the connected account after a slash.
impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on_behalf {
            Some(id) => write!(f, "{}/{id}", self.account.name),
            None => f.write_str(&self.account.name),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({self}, {})", self.mode())
    }
}
