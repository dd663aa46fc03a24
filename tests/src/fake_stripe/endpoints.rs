//! `/v1/webhook_endpoints`.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::lists::{Cut, Entry};
use super::params::Params;
use super::world::{Caller, World};

/// Most endpoints of one account and mode.
const MOST: usize = 16;

pub(super) fn create(
    world: &mut World,
    caller: &Caller,
    mut params: Params,
) -> Result<Answer, Answer> {
    let required = |name: &str| {
        let message = format!("Missing required param: {name}.");
        Answer::error(400, "parameter_missing", &message, Some(name))
    };
    let url = params.take("url").ok_or_else(|| required("url"))?;
    check_url(world, caller, &url)?;
    let enabled = params.take_list("enabled_events");
    check_events(&enabled).ok_or_else(|| required("enabled_events"))??;
    let api_version = params.take("api_version");
    let connect = params.take("connect").is_some_and(|text| text == "true");
    let description = params.take("description");
    let metadata = params.take_map("metadata");
    params.finish()?;
    if world.endpoints(&caller.account, caller.livemode).len() >= MOST {
        let mode = if caller.livemode { "live" } else { "test" };
        let message = format!("You have reached the maximum of {MOST} {mode} webhook endpoints.");
        return Err(Answer::error(400, "resource_limit", &message, None));
    }
    let number = world.number();
    let endpoint = json!({
        "id": format!("we_{number}"),
        "object": "webhook_endpoint",
        "api_version": api_version,
        "application": if connect { Value::from("ca_fake") } else { Value::Null },
        "created": world.now(),
        "description": description,
        "enabled_events": enabled,
        "livemode": caller.livemode,
        "metadata": metadata,
        "secret": format!("whsec_fake{number:024}"),
        "status": "enabled",
        "url": url,
    });
    world.webhook_endpoints.push((caller.clone(), endpoint.clone()));
    Ok(Answer::ok(&endpoint))
}

pub(super) fn list(world: &World, caller: &Caller, mut params: Params) -> Result<Answer, Answer> {
    let cut = Cut::take(&mut params)?;
    params.finish()?;
    let mut entries: Vec<_> = world
        .endpoints(&caller.account, caller.livemode)
        .into_iter()
        .map(|endpoint| Entry::of(&public(endpoint)))
        .collect();
    entries.reverse();
    Ok(cut.page("/v1/webhook_endpoints", entries))
}

pub(super) fn one(world: &World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let at = find(world, caller, id)?;
    world.webhook_endpoints.get(at).map_or_else(
        || Err(Answer::missing("webhook endpoint", id, "id")),
        |(_, endpoint)| Ok(Answer::ok(&public(endpoint))),
    )
}

pub(super) fn delete(world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let at = find(world, caller, id)?;
    world.webhook_endpoints.remove(at);
    Ok(Answer::ok(&json!({ "id": id, "object": "webhook_endpoint", "deleted": true })))
}

pub(super) fn update(
    world: &mut World,
    caller: &Caller,
    id: &str,
    mut params: Params,
) -> Result<Answer, Answer> {
    let at = find(world, caller, id)?;
    let mut change = Map::new();
    if let Some(url) = params.take("url") {
        check_url(world, caller, &url)?;
        change.insert("url".to_owned(), Value::from(url));
    }
    let enabled = params.take_list("enabled_events");
    if let Some(good) = check_events(&enabled) {
        good?;
        change.insert("enabled_events".to_owned(), Value::from(enabled));
    }
    if let Some(text) = params.take("description") {
        change.insert("description".to_owned(), Value::from(text));
    }
    match params.take("disabled").as_deref() {
        Some("true") => drop(change.insert("status".to_owned(), Value::from("disabled"))),
        Some("false") => drop(change.insert("status".to_owned(), Value::from("enabled"))),
        _ => {}
    }
    let metadata = params.take_map("metadata");
    params.finish()?;
    let Some(Value::Object(endpoint)) = world.webhook_endpoints.get_mut(at).map(|(_, e)| e) else {
        return Err(Answer::missing("webhook endpoint", id, "id"));
    };
    endpoint.append(&mut change);
    if let Some(Value::Object(kept)) = endpoint.get_mut("metadata") {
        for (key, value) in metadata {
            // An empty value takes the key away.
            if value.is_empty() {
                kept.remove(&key)
            } else {
                kept.insert(key, Value::from(value))
            };
        }
    }
    Ok(Answer::ok(&public(&Value::Object(endpoint.clone()))))
}

fn find(world: &World, caller: &Caller, id: &str) -> Result<usize, Answer> {
    let fits = |(of, endpoint): &(Caller, Value)| {
        of == caller && endpoint.get("id").and_then(Value::as_str) == Some(id)
    };
    let found = world.webhook_endpoints.iter().position(fits);
    found.ok_or_else(|| Answer::missing("webhook endpoint", id, "webhook_endpoint"))
}

/// The secret is told once, when the endpoint is made.
fn public(endpoint: &Value) -> Value {
    let mut shown = endpoint.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("secret");
    }
    shown
}

fn check_url(world: &World, caller: &Caller, url: &str) -> Result<(), Answer> {
    let refused = |message: &str| Answer::error(400, "url_invalid", message, Some("url"));
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', ':', '?']).next()).unwrap_or_default();
    if host.is_empty() || url.contains(char::is_whitespace) {
        return Err(refused("Invalid URL: An explicit scheme (such as https) must be provided."));
    }
    if world.any_url {
        return Ok(());
    }
    if ["localhost", "127.", "10.", "192.168.", "[::1]"].iter().any(|near| host.starts_with(near)) {
        return Err(refused("Invalid URL: URL must be publicly accessible."));
    }
    if caller.livemode && !url.starts_with("https://") {
        return Err(refused("Invalid URL: In live mode the URL must begin with https."));
    }
    Ok(())
}

/// `None` when there are none.
fn check_events(enabled: &[String]) -> Option<Result<(), Answer>> {
    if enabled.is_empty() {
        return None;
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
    let good = |kind: &&String| *kind == "*" || (kind.contains('.') && kind.chars().all(plain));
    let bad = enabled.iter().position(|kind| !good(&kind));
    Some(bad.map_or(Ok(()), |at| {
        let message = "Invalid enabled_events: it must be one of Stripe's event types";
        let param = format!("enabled_events[{at}]");
        Err(Answer::error(400, "parameter_invalid", message, Some(&param)))
    }))
}
