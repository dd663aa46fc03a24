//! Where the admin API is and which token opens it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Url;

use crate::config::{Config, Flags, Problem, Reading, SecretRef};
use crate::domain::endpoint::Secret;

use super::client::Client;
use super::context::Context;
use super::exit::Usage;

/// How to reach a running host.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// Configuration file [env: SIGNALBOX_CONFIG] [default: signalbox.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Admin API [env: SIGNALBOX_URL] [default: `server.admin_listen`]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Admin token, or `env:NAME`, `file:PATH` [env: SIGNALBOX_ADMIN_TOKEN] [default:
    /// `server.admin_token`, or the file `admin-token` in the data directory]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Data directory, where the generated admin token is [default: `store.path`]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Where the token came from, for when it is refused.
#[derive(Debug, Clone)]
pub(crate) enum TokenSource {
    Flag,
    Environment,
    Config,
    File(PathBuf),
    /// There is none; this is where the generated one would be.
    Nowhere(PathBuf),
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the one of --token"),
            Self::Environment => f.write_str("the one in $SIGNALBOX_ADMIN_TOKEN"),
            Self::Config => f.write_str("`server.admin_token` of the configuration"),
            Self::File(path) => write!(f, "the one in {}", path.display()),
            Self::Nowhere(path) => write!(f, "none was found, {} is not there", path.display()),
        }
    }
}

impl ConnectArgs {
    /// The configuration as far as it can be read: a client that cannot see an endpoint's secret
    /// can do without. Whoever uses a key asks [`usable`] first.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub(crate) fn config(&self, cx: &Context) -> anyhow::Result<Reading> {
        let mut flags = Flags::default();
        if let Some(data) = &self.data {
            flags.set("--data", "store.path", data.display());
        }
        let reading = Config::read(self.config.as_deref(), &cx.env, &flags);
        match reading.problems.iter().find(|problem| problem.key().is_none()) {
            Some(problem) => Err(wrong(problem)),
            None => Ok(reading),
        }
    }

    /// A client of the admin API.
    ///
    /// # Errors
    /// When the configuration, the URL or the token's reference is wrong.
    pub(crate) fn client(&self, cx: &Context) -> anyhow::Result<Client> {
        self.client_for(cx, &self.config(cx)?)
    }

    /// As [`Self::client`], with the configuration at hand.
    pub(crate) fn client_for(&self, cx: &Context, reading: &Reading) -> anyhow::Result<Client> {
        let base = self.base(cx, reading)?;
        let (token, source) = self.token(cx, reading)?;
        Ok(Client::new(base, token, source)?)
    }

    fn base(&self, cx: &Context, reading: &Reading) -> anyhow::Result<Url> {
        let given = self.url.as_deref().or_else(|| cx.env.get("SIGNALBOX_URL"));
        let text = match given {
            Some(url) if url.contains("://") => url.to_owned(),
            Some(address) => format!("http://{address}"),
            None => {
                usable(reading, "server.admin_listen")?;
                format!("http://{}", reachable(reading.config.server.admin_listen))
            }
        };
        let wrong = |why: &str| Usage(format!("`{text}` is not an admin API's URL: {why}"));
        let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
        match url.scheme() {
            "http" => Ok(url),
            "https" => Err(wrong(
                "this client speaks plain HTTP; run it where the host is, or through a tunnel \
                 (ssh -L 4243:127.0.0.1:4243 HOST)",
            )
            .into()),
            _ => Err(wrong("it does not begin with http://").into()),
        }
    }

    fn token(
        &self,
        cx: &Context,
        reading: &Reading,
    ) -> anyhow::Result<(Option<Secret>, TokenSource)> {
        if let Some(token) = &self.token {
            let secret = SecretRef::parse(token).resolve(&cx.env, Path::new(""));
            return Ok((Some(secret.context("--token")?), TokenSource::Flag));
        }
        if let Some(token) = cx.env.get("SIGNALBOX_ADMIN_TOKEN") {
            let secret = Secret::new(token).context("$SIGNALBOX_ADMIN_TOKEN")?;
            return Ok((Some(secret), TokenSource::Environment));
        }
        usable(reading, "server.admin_token")?;
        usable(reading, "store.path")?;
        let config = &reading.config;
        if let Some(token) = &config.server.admin_token {
            return Ok((Some(token.clone()), TokenSource::Config));
        }
        let file = config.store.admin_token_file();
        if !file.exists() {
            return Ok((None, TokenSource::Nowhere(file)));
        }
        let secret = SecretRef::File(file.clone()).resolve(&cx.env, Path::new(""))?;
        Ok((Some(secret), TokenSource::File(file)))
    }
}

/// That nothing is wrong with `key`, or with what is below it.
pub(crate) fn usable(reading: &Reading, key: &str) -> anyhow::Result<()> {
    let about = |problem: &&Problem| {
        problem
            .key()
            .and_then(|found| found.strip_prefix(key))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    reading.problems.iter().find(about).map_or(Ok(()), |problem| Err(wrong(problem)))
}

fn wrong(problem: &Problem) -> anyhow::Error {
    anyhow::Error::new(problem.clone()).context("the configuration is wrong")
}

/// Where a client on this machine reaches what listens at `listen`: "every address" is none.
pub(crate) fn reachable(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let mut address = listen;
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
