//! Which endpoint an event goes to, and what signs it.

use anyhow::{Context as _, bail};
use reqwest::Url;
use serde_json::Value;
use uuid::Uuid;

use crate::config::{EndpointSettings, Reading, SecretRef};
use crate::domain::endpoint::Secret;

use super::super::connect::{ConnectArgs, reachable, usable};
use super::super::context::Context;
use super::super::exit::{NotFound, Usage};
use super::super::page;

/// The only provider there are fixtures of.
const PROVIDER: &str = "stripe";

/// Where an event goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Uuid,
    pub(crate) url: Url,
    pub(crate) secrets: Vec<Secret>,
}

/// What the command line says of it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TargetArgs {
    /// The endpoint's UUID [default: the only one of Stripe's that there is]
    #[arg(long, value_name = "UUID")]
    pub(crate) endpoint: Option<Uuid>,
    /// Its signing secret, or `env:NAME`, `file:PATH` [default: that of the configuration]
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Option<String>,
    /// Where to post, instead of the host's own webhook listener
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<Url>,
}

impl TargetArgs {
    /// Find the endpoint: the one named; else the configuration's only one; else the only one that
    /// the admin API lists.
    pub(crate) async fn find(&self, connect: &ConnectArgs, cx: &Context) -> anyhow::Result<Target> {
        let reading = connect.config(cx)?;
        let config = &reading.config;
        let ours: Vec<&EndpointSettings> =
            config.endpoints.iter().filter(|endpoint| endpoint.provider == PROVIDER).collect();
        let named = config.endpoints.iter().find(|endpoint| Some(endpoint.id.0) == self.endpoint);
        if let Some(other) = named.filter(|endpoint| endpoint.provider != PROVIDER) {
            return Err(Usage(format!(
                "endpoint {} is of `{}`; only events of `{PROVIDER}` can be made here, so have its \
                 sender send one",
                other.id, other.provider
            ))
            .into());
        }
        let (id, listed) = match (self.endpoint, ours.as_slice()) {
            (Some(id), _) => (id, None),
            (None, [only]) => (only.id.0, None),
            (None, _) => self.ask(connect, cx, &reading).await?,
        };
        let url = match (&self.to, listed) {
            (Some(url), _) => url.clone(),
            (None, Some(url)) => url,
            (None, None) => local(&reading, id)?,
        };
        if url.scheme() != "http" {
            let why = "this client speaks plain HTTP; post to the host's own listener";
            return Err(Usage(format!("{url}: {why}")).into());
        }
        Ok(Target { endpoint: id, url, secrets: self.secrets(cx, &reading, id)? })
    }

    /// The only endpoint of ours that the admin API lists, and its URL if it can be used here.
    async fn ask(
        &self,
        connect: &ConnectArgs,
        cx: &Context,
        reading: &Reading,
    ) -> anyhow::Result<(Uuid, Option<Url>)> {
        let client = connect.client_for(cx, reading)?;
        let list = client.get(&["endpoints"], &[("limit", "100".to_owned())]).await?;
        let (all, _) = page::entries(list);
        let ours: Vec<&Value> = all
            .iter()
            .filter(|endpoint| endpoint.get("provider").and_then(Value::as_str) == Some(PROVIDER))
            .collect();
        let field = |endpoint: &Value, name| {
            endpoint.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match ours.as_slice() {
            [] => Err(NotFound(
                "there is no endpoint of Stripe's; make one with `signalbox endpoints create \
                 --secret whsec_...`, or declare one in the configuration"
                    .to_owned(),
            )
            .into()),
            [only] => {
                let id = field(only, "id");
                let id = Uuid::try_parse(&id).with_context(|| format!("the endpoint id `{id}`"))?;
                Ok((id, near(&field(only, "url"))))
            }
            several => {
                let ids: Vec<String> = several.iter().map(|e| field(e, "id")).collect();
                let text = format!(
                    "there are {} endpoints; choose one with --endpoint: {}",
                    ids.len(),
                    ids.join(", ")
                );
                Err(Usage(text).into())
            }
        }
    }

    fn secrets(&self, cx: &Context, reading: &Reading, id: Uuid) -> anyhow::Result<Vec<Secret>> {
        if let Some(reference) = &self.secret {
            let secret = SecretRef::parse(reference)
                .resolve(&cx.env, std::path::Path::new(""))
                .map_err(|error| Usage(error.to_string()))
                .context("--secret")?;
            return Ok(vec![secret]);
        }
        let now = cx.clock.now();
        let endpoints = &reading.config.endpoints;
        let declared = endpoints.iter().find(|endpoint| endpoint.id.0 == id);
        let live: Vec<Secret> = declared
            .into_iter()
            .flat_map(|endpoint| &endpoint.secrets)
            .filter(|secret| secret.is_live(now))
            .cloned()
            .collect();
        if live.is_empty() {
            // It is declared, and why it could not be read is what the user must know.
            usable(reading, "endpoint")?;
            let text = format!(
                "the secret of endpoint {id} is not known here (the admin API never tells one); \
                 pass it with --secret, or name the configuration that holds it with --config"
            );
            return Err(Usage(text).into());
        }
        Ok(live)
    }
}

/// A URL of the admin API that leads to the host's own listener. A host without a public URL gives
/// a path; one with a public URL is posted to at its listener all the same.
fn near(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let address = host.parse::<std::net::IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    (url.scheme() == "http" && here).then_some(url)
}

fn local(reading: &Reading, id: Uuid) -> anyhow::Result<Url> {
    usable(reading, "server.listen")?;
    let listen = reachable(reading.config.server.listen);
    if listen.port() == 0 {
        bail!("`server.listen` lets the system choose the port; name the URL with --to");
    }
    Ok(Url::parse(&format!("http://{listen}/webhooks/{id}"))?)
}
