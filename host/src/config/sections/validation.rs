//! How an endpoint's requests become events: `validation` and the keys that go with it.

use crate::domain::endpoint::Validation;
use crate::stripe::{Accounts, Mode};

use super::super::problem::Problem;
use super::super::reader::{Table, nearest};
use super::super::words::Switch;

/// The keys, checked against one another.
pub(super) struct Validating {
    pub(super) validation: Validation,
    pub(super) force_unverified: bool,
    pub(super) account: Option<String>,
    pub(super) livemode: Option<bool>,
    pub(super) connect: Option<bool>,
}

pub(super) fn validating(table: &mut Table<'_>, provider: &str, accounts: &Accounts) -> Validating {
    let read = Validating {
        validation: table.value("validation", Validation::default()),
        force_unverified: table.value("validation_force_unverified", Switch(false)).0,
        account: table.optional("account"),
        livemode: table.optional::<Switch>("livemode").map(|switch| switch.0),
        connect: table.optional::<Switch>("connect").map(|switch| switch.0),
    };
    let conflict = |key: &str, cause: String| {
        table.reader().report(Problem::Conflict {
            key: table.key(key),
            cause,
            origin: table.origin_of(key),
        });
    };
    match read.validation {
        Validation::None if read.livemode != Some(false) && !read.force_unverified => conflict(
            "validation",
            "with `none`, whoever knows the URL can send events that are believed; set `livemode = \
             false` as well (live events are refused then), or `validation_force_unverified = true` \
             if live events are meant too"
                .to_owned(),
        ),
        Validation::RetrieveEvent if provider != "stripe" => conflict(
            "validation",
            format!("events of `{provider}` cannot be fetched; set `verify_signature`"),
        ),
        Validation::RetrieveEvent if accounts.is_empty() => conflict(
            "validation",
            "`retrieve_event` asks Stripe with the key of an account, and none is configured; add \
             `[[stripe.account]]` with an `api_key`"
                .to_owned(),
        ),
        _ => {}
    }
    if read.force_unverified && read.validation != Validation::None {
        let cause = "it is for `validation = \"none\"` alone; remove it";
        conflict("validation_force_unverified", cause.to_owned());
    }
    let known = || accounts.iter().map(|account| account.name.as_str());
    match &read.account {
        Some(name) if !known().any(|known| known == name) => {
            let hint = nearest(name, known())
                .map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
            let cause = format!(
                "no `[[stripe.account]]` is called `{name}`{hint}; add it, or leave this out for \
                 the default one"
            );
            conflict("account", cause);
        }
        Some(name)
            if accounts.get(name).is_some_and(|account| {
                read.livemode.is_some_and(|live| live != account.mode().is_live())
            }) =>
        {
            let cause = format!("the key of the account `{name}` is of the other mode");
            conflict("livemode", cause);
        }
        // Which account's key is used must never be a guess.
        None if read.validation == Validation::RetrieveEvent
            && !accounts.is_empty()
            && [false, true].iter().all(|live| {
                let asked = read.livemode.is_none_or(|declared| declared == *live);
                !asked || accounts.default_of(Some(Mode::of(*live))).is_none()
            }) =>
        {
            let cause = "no `[[stripe.account]]` of the endpoint's mode is the only one, or called \
                         `default`; name the one that the endpoint belongs to";
            conflict("account", cause.to_owned());
        }
        _ => {}
    }
    read
}
