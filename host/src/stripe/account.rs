//! The accounts at Stripe that the operator has keys for.
//!
//! Not the reading of the configuration (`config`), and not the choice for an event (`authority`).

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::key::{ApiKey, Mode};

/// Longest account id in bytes. Stripe promises that none of its ids is longer than 255.
const MAX_ID: usize = 255;

/// Stripe's identifier of an account: `acct_...`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountId(Arc<str>);

/// It is no account's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an account's id begins with `acct_`, and letters, digits and `_` follow")]
#[non_exhaustive]
pub struct AccountIdError;

impl AccountId {
    /// Take `text` for one.
    ///
    /// # Errors
    /// When it does not look like one: it goes into a header and into a key.
    pub fn parse(text: &str) -> Result<Self, AccountIdError> {
        let rest = text.strip_prefix("acct_").ok_or(AccountIdError)?;
        let plain = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if rest.is_empty() || !plain || text.len() > MAX_ID {
            return Err(AccountIdError);
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which connected accounts an account's key is used for by itself, in reconciliation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Connected {
    /// All that Stripe lists.
    All,
    /// These; by default none.
    Only(Vec<AccountId>),
}

impl Default for Connected {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

/// One account, its key, and where the API is.
#[derive(Clone, Debug)]
pub struct Account {
    /// The operator's name for it.
    pub name: String,
    /// Its key, live or test.
    pub key: ApiKey,
    /// Where the API is, e.g. `https://api.stripe.com`.
    pub api_base: Url,
    /// Whose key it must be, if the operator says so: Stripe is asked before its first use.
    pub id: Option<AccountId>,
    /// The connected accounts it is used for by itself.
    pub connected: Connected,
    /// Whether missed events are looked for with it.
    pub reconcile: bool,
}

impl Account {
    /// Where the API is unless the operator says otherwise.
    pub const API_BASE: &'static str = "https://api.stripe.com";
    /// The name of the account that is taken when none is named.
    pub const DEFAULT_NAME: &'static str = "default";

    /// Live or test, by its key.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.key.mode()
    }
}

/// Why a set of accounts is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// Two of one name.
    #[error("`{0}` is another account's name; each needs its own")]
    Name(String),
    /// Two of one identity.
    #[error("`{second}` is {id} in {mode} mode, and so is `{first}`; keep one of them")]
    Identity {
        /// The name of the first.
        first: String,
        /// The name of the other.
        second: String,
        /// The id of both.
        id: AccountId,
        /// The mode of both.
        mode: Mode,
    },
    /// Two with one key.
    #[error("`{second}` has the key of `{first}`; keep one of them")]
    Key {
        /// The name of the first.
        first: String,
        /// The name of the other.
        second: String,
    },
}

/// All accounts of the configuration. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<[Arc<Account>]>);

impl Accounts {
    /// A set of accounts that can be told apart.
    ///
    /// # Errors
    /// When two cannot.
    pub fn new(accounts: Vec<Account>) -> Result<Self, AccountsError> {
        for (at, second) in accounts.iter().enumerate() {
            for first in accounts.iter().take(at) {
                if first.name == second.name {
                    return Err(AccountsError::Name(first.name.clone()));
                }
                let names = || (first.name.clone(), second.name.clone());
                if let Some(id) = &first.id
                    && first.id == second.id
                    && first.mode() == second.mode()
                {
                    let (first, second) = names();
                    let (id, mode) = (id.clone(), accounts[at].mode());
                    return Err(AccountsError::Identity { first, second, id, mode });
                }
                if first.key == second.key {
                    let (first, second) = names();
                    return Err(AccountsError::Key { first, second });
                }
            }
        }
        Ok(Self(accounts.into_iter().map(Arc::new).collect()))
    }

    /// All, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> + '_ {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.iter().find(|account| account.name == name)
    }

    /// The one that is meant when none is named, among those of `mode` if that is given: the only
    /// one, or else the one named `default`.
    #[must_use]
    pub fn default_of(&self, mode: Option<Mode>) -> Option<&Arc<Account>> {
        let fits = |account: &&Arc<Account>| mode.is_none_or(|mode| account.mode() == mode);
        let mut fitting = self.iter().filter(fits);
        let (first, second) = (fitting.next(), fitting.next());
        match second {
            None => first,
            Some(_) => {
                self.iter().filter(fits).find(|account| account.name == Account::DEFAULT_NAME)
            }
        }
    }
}
