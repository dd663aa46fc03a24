//! From a request to who answers it; keys, accounts and idempotency on the way.

use serde_json::{Value, json};

use super::answer::Answer;
use super::lists::{Cut, Entry};
use super::params::Params;
use super::world::{Asked, Caller, FAKE_ACCOUNT, Once, World};
use super::{endpoints, events};

/// The answer when nothing goes wrong.
pub(super) fn answer(world: &mut World, asked: &Asked) -> Answer {
    let caller = match caller(world, asked) {
        Ok(caller) => caller,
        Err(refused) => return refused,
    };
    let Some(key) = asked.header("idempotency-key").filter(|_| asked.method == "POST") else {
        return routed(world, &caller, asked);
    };
    let what = format!("{} {} {caller:?}", asked.path, asked.body);
    if let Some(once) = world.once.get(key) {
        if once.asked == what {
            return once.answer.clone();
        }
        let message = "Keys for idempotent requests can only be used with the same parameters they \
                       were first used with.";
        return Answer::error(400, "idempotency_error", message, None);
    }
    let answer = routed(world, &caller, asked);
    // Stripe keeps what it has begun to do; what it refused at once may be asked again.
    if answer.status == 200 || answer.status >= 500 {
        world.once.insert(key.to_owned(), Once { asked: what, answer: answer.clone() });
    }
    answer
}

/// Whose objects the request is about, if its key may.
fn caller(world: &World, asked: &Asked) -> Result<Caller, Answer> {
    let unauthorised = |message: &str| Answer::error(401, "api_key_invalid", message, None);
    let key = asked.key().ok_or_else(|| unauthorised("You did not provide an API key."))?;
    let shown = key.get(..8).unwrap_or_default();
    let kind = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"].into_iter();
    let Some(kind) = kind.into_iter().find(|kind| key.starts_with(kind)) else {
        return Err(unauthorised(&format!("Invalid API Key provided: {shown}****")));
    };
    if world.revoked.contains(key) {
        let message = format!("Expired API Key provided: {shown}****");
        return Err(Answer::error(401, "api_key_expired", &message, None));
    }
    let denied = |(known, path): &(String, String)| known == key && asked.path.starts_with(path);
    if world.forbidden.iter().any(denied) {
        let message = format!(
            "The provided key '{shown}****' does not have the required permissions for this \
             endpoint."
        );
        return Err(Answer::error(403, "more_permissions_required", &message, None));
    }
    let own = world.keys.get(key).map_or(FAKE_ACCOUNT, String::as_str);
    let header = if asked.path.starts_with("/v2/") { "stripe-context" } else { "stripe-account" };
    let account = asked.header(header).unwrap_or(own);
    if account != own && (own != FAKE_ACCOUNT || !world.connected.iter().any(|id| id == account)) {
        let message = format!(
            "The provided key '{shown}****' does not have access to account '{account}' (or that \
             account does not exist)."
        );
        return Err(Answer::error(403, "account_invalid", &message, None));
    }
    Ok(Caller { account: account.to_owned(), livemode: kind.ends_with("live_") })
}

fn routed(world: &mut World, caller: &Caller, asked: &Asked) -> Answer {
    let parts: Vec<_> = asked.path.split('/').skip(1).collect();
    let params = asked.params();
    let answer = match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["v1", "account"]) => Ok(account(&caller.account)),
        ("GET", ["v1", "accounts"]) => accounts(world, params),
        ("GET", ["v1", "events"]) => events::list(world, caller, params),
        ("GET", ["v1", "events", id]) => Ok(events::one(world, caller, id, false)),
        ("GET", ["v2", "core", "events", id]) => Ok(events::one(world, caller, id, true)),
        ("GET", ["v1", "webhook_endpoints"]) => endpoints::list(world, caller, params),
        ("POST", ["v1", "webhook_endpoints"]) => endpoints::create(world, caller, params),
        ("GET", ["v1", "webhook_endpoints", id]) => endpoints::one(world, caller, id),
        ("POST", ["v1", "webhook_endpoints", id]) => endpoints::update(world, caller, id, params),
        ("DELETE", ["v1", "webhook_endpoints", id]) => endpoints::delete(world, caller, id),
        ("GET", _) if world.paths.contains_key(&asked.path) => {
            Ok(world.paths.get(&asked.path).map_or_else(|| unknown(asked), Answer::ok))
        }
        ("GET", ["v1", collection]) => objects(world, caller, collection, params),
        ("GET", ["v1", collection, id]) => Ok(object(world, caller, collection, id)),
        _ => Ok(unknown(asked)),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn unknown(asked: &Asked) -> Answer {
    let message = format!("Unrecognized request URL ({}: {}).", asked.method, asked.path);
    Answer::error(404, "url_unknown", &message, None)
}

fn account(id: &str) -> Answer {
    Answer::ok(&json!({ "id": id, "object": "account", "charges_enabled": true }))
}

fn accounts(world: &World, mut params: Params) -> Result<Answer, Answer> {
    let cut = Cut::take(&mut params)?;
    params.finish()?;
    let entry = |id: &String| Entry::of(&json!({ "id": id, "object": "account" }));
    Ok(cut.page("/v1/accounts", world.connected.iter().map(entry).collect()))
}

fn of<'w>(world: &'w World, caller: &Caller, collection: &str) -> Vec<&'w Value> {
    let all = world.objects.get(&(caller.account.clone(), collection.to_owned()));
    let fits = |object: &&Value| {
        let livemode = object.get("livemode").and_then(Value::as_bool);
        livemode.is_none_or(|livemode| livemode == caller.livemode)
    };
    all.into_iter().flatten().filter(fits).collect()
}

fn objects(
    world: &World,
    caller: &Caller,
    collection: &str,
    mut params: Params,
) -> Result<Answer, Answer> {
    let cut = Cut::take(&mut params)?;
    let known = world.objects.keys().any(|(_, known)| known == collection);
    if !known {
        let message = format!("Unrecognized request URL (GET: /v1/{collection}).");
        return Err(Answer::error(404, "url_unknown", &message, None));
    }
    // Any other parameter is a field that must have this value.
    let fits = |object: &&Value| {
        params.rest().iter().all(|(name, wanted)| match object.get(name) {
            Some(Value::String(text)) => text == wanted,
            Some(other) => *other.to_string() == **wanted,
            None => false,
        })
    };
    let mut entries: Vec<_> =
        of(world, caller, collection).into_iter().filter(fits).map(Entry::of).collect();
    entries.reverse();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
    Ok(cut.page(&format!("/v1/{collection}"), entries))
}

fn object(world: &World, caller: &Caller, collection: &str, id: &str) -> Answer {
    let named = |object: &&Value| object.get("id").and_then(Value::as_str) == Some(id);
    match of(world, caller, collection).into_iter().find(named) {
        Some(object) => Answer::ok(object),
        None => Answer::missing(collection.trim_end_matches('s'), id, "id"),
    }
}
