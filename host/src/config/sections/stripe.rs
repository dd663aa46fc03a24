//! `[[stripe.account]]`: the accounts at Stripe and their keys.

use std::net::IpAddr;

use url::Url;

use crate::stripe::{Account, Accounts, AccountsError, ApiKey, Connected};

use super::super::problem::Problem;
use super::super::reader::Table;
use super::super::value::{Referred, WebUrl};
use super::super::words::Switch;

pub(super) fn accounts(mut table: Table<'_>) -> Accounts {
    let mut accounts = Vec::new();
    let mut good = Accounts::default();
    for table in table.tables("account") {
        let place = (table.origin().clone(), ["name", "id", "api_key"].map(|key| table.key(key)));
        let reader = table.reader();
        accounts.extend(account(table));
        // Of two that cannot be told apart the later one is wrong.
        match Accounts::new(accounts.clone()) {
            Ok(all) => good = all,
            Err(error) => {
                accounts.pop();
                let (origin, [name, id, api_key]) = place;
                let key = match &error {
                    AccountsError::Name(_) => name,
                    AccountsError::Identity { .. } => id,
                    AccountsError::Key { .. } => api_key,
                };
                reader.report(Problem::Conflict { key, cause: error.to_string(), origin });
            }
        }
    }
    table.finish();
    good
}

fn account(mut table: Table<'_>) -> Option<Account> {
    let name = table.value("name", Account::DEFAULT_NAME.to_owned());
    let api_key = table.required::<Referred>("api_key");
    let base = WebUrl(Account::API_BASE.to_owned());
    let api_base = table.checked("api_base", base, |url| {
        let wish = "an `https` URL; plain `http` only for this machine".to_owned();
        if url.0.starts_with("https://") || is_local(&url.0) { Ok(()) } else { Err(wish) }
    });
    let id = table.optional("id");
    let connected = table.value("connected", Connected::default());
    let reconcile = table.value("reconcile", Switch(true)).0;
    let key = api_key.and_then(|referred| match ApiKey::parse(referred.secret) {
        Ok(key) => Some(key),
        Err(error) => {
            table.reader().report(Problem::Conflict {
                key: table.key("api_key"),
                cause: error.to_string(),
                origin: table.origin_of("api_key"),
            });
            None
        }
    });
    table.finish();
    let api_base = Url::parse(&api_base.0).ok()?;
    Some(Account { name, key: key?, api_base, id, connected, reconcile })
}

fn is_local(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}
