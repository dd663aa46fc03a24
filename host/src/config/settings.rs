//! The settings and their defaults: the one place that says what can be configured.
//!
//! Not how they are read (`sections`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::backoff::Backoff;
use crate::domain::clock::Timestamp;
use crate::domain::delivery::Order;
use crate::domain::endpoint::{self, Endpoint, EndpointId, Secret, Validation};
use crate::domain::grant::Grant;
use crate::domain::plugin::{DeliveryPolicy, Limits, PluginName};
use crate::http::webhook::Alias;
use crate::provider::custom::CustomProvider;
use crate::stripe::Accounts;

use super::origin::Entry;

/// Everything that can be configured, checked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// The two listeners.
    pub server: Server,
    /// What is kept, where and for how long.
    pub store: StoreSettings,
    /// Where the plugins are.
    pub plugins: Plugins,
    /// Endpoints of the file; others are made through the admin API.
    pub endpoints: Vec<EndpointSettings>,
    /// `[[provider]]`: senders that the operator describes.
    pub providers: Vec<CustomProvider>,
    /// What single plugins are granted, told and allowed.
    pub plugin: BTreeMap<PluginName, PluginSettings>,
    /// `[[stripe.account]]`: accounts at Stripe and their keys.
    pub stripe_accounts: Accounts,
    /// How missed events are looked for.
    pub reconcile: Reconcile,
    /// How deliveries are attempted.
    pub dispatch: Dispatch,
    /// How effects are performed.
    pub outbox: Outbox,
    /// What is kept of the providers' objects.
    pub mirror: Mirror,
    /// `[secret]`: what `{{secret:NAME}}` in a request of a plugin stands for, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// What the host says on its standard error stream.
    pub log: Log,
    /// Each value as text, with its origin; secrets as fingerprints.
    pub entries: Vec<Entry>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where webhooks come in. Default `127.0.0.1:4242`: a proxy that ends TLS stands before it.
    pub listen: SocketAddr,
    /// Where the admin API answers. Default `127.0.0.1:4243`; never for the public.
    pub admin_listen: SocketAddr,
    /// The admin API's bearer token, at least [`Server::TOKEN_MIN`] long; when absent one is
    /// generated into `admin-token` in the data directory.
    pub admin_token: Option<Secret>,
    /// How the world reaches `listen`, without a trailing slash; shown in endpoints' URLs.
    pub public_url: Option<String>,
    /// Other paths under which `listen` takes the endpoints' requests, such as dj-stripe's
    /// `/stripe/webhook/{uuid}/`; with or without the slash at the end. Default none.
    pub aliases: Vec<Alias>,
    /// Proxies in front of `listen` whose `X-Forwarded-For` or `Forwarded` names the client in what is
    /// kept of refused requests. Default none: anyone can send such a header.
    pub trusted_proxies: Vec<IpNet>,
    /// `[server.limits]`
    pub limits: ServerLimits,
}

impl Server {
    /// Fewest bytes of `admin_token`: 16 random letters and digits are more than 80 bits.
    pub const TOKEN_MIN: usize = 16;
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4242)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4243)),
            admin_token: None,
            public_url: None,
            aliases: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: ServerLimits::default(),
        }
    }
}

/// `[server.limits]`: what the listeners put up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections of the webhook listener; more wait in the kernel's queue. Default 1,024: a
    /// provider opens tens.
    pub connections: usize,
    /// Webhooks worked on at once, and as many whose large body still comes. Default 256: many
    /// group commits' worth, and at most 256 MiB of large bodies.
    pub in_flight: usize,
    /// Bytes of a body. Default 1 MiB: Stripe's largest events are some hundred kilobytes.
    pub body: u64,
    /// Bytes of a refused request's body that are kept. Default 4 KiB: most events whole, and of
    /// what nobody vouches for no more. Only what was kept whole can be retried.
    pub refused_body: u64,
    /// Bytes of a request's head. Default 128 KiB: room for the longest signature header read.
    pub headers: u64,
    /// From a connection's opening, or the end of its last request, to the whole head of the next:
    /// how slowly a head may come, and how long a connection may idle. Default 20 s.
    pub header_timeout: Duration,
    /// How long a whole body may take. Default 15 s: within the time providers wait for an answer.
    pub body_timeout: Duration,
    /// How long a peer may take none of an answer. Default 10 s.
    pub write_timeout: Duration,
    /// How long a stop waits for requests that were begun. Default 10 s: more than the slowest
    /// commit.
    pub shutdown_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            in_flight: 256,
            body: 1 << 20,
            refused_body: 4 << 10,
            headers: 128 << 10,
            header_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The data directory. Default `data`.
    pub path: PathBuf,
    /// Bytes of the store's page cache. Default 64 MiB.
    pub cache: u64,
    /// What is let go of.
    pub retention: Retention,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), cache: 64 << 20, retention: Retention::default() }
    }
}

impl StoreSettings {
    /// The file the generated admin token is kept in (mode 0600).
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        self.path.join("admin-token")
    }
}

/// The `retain_*` and `dedupe_for` keys of `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// `retain_for`: settled events older than this go. Default 30 days, as far back as Stripe
    /// lists its own; `forever` keeps them.
    pub age: Option<Duration>,
    /// `retain_bytes`: the oldest settled events go while more than this is kept. Default
    /// `unlimited`: deleting for space is the operator's decision.
    pub bytes: Option<u64>,
    /// `dedupe_for`: how long a repeated event is known for one, after its body went too.
    /// Default 90 days. At least `retain_for`, and where missed events are looked for, at least
    /// as long as Stripe lists them (30 days and `reconcile.overlap`).
    pub dedupe_age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        Self { age: Some(DAY * 30), bytes: None, dedupe_age: DAY * 90 }
    }
}

/// `[plugins]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    /// The directory that is watched for components. Default `plugins`. Never written to.
    pub dir: PathBuf,
    /// `[plugins.limits]`: what one delivery of any plugin may use, unless `[plugin.NAME.limits]`
    /// says otherwise.
    pub limits: Limits,
}

impl Default for Plugins {
    fn default() -> Self {
        Self { dir: PathBuf::from("plugins"), limits: Limits::default() }
    }
}

/// One `[[endpoint]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// The UUID in its URL.
    pub id: EndpointId,
    /// Whose rules prove its requests.
    pub provider: String,
    /// Any of these may prove a request. At least one where signatures are verified; each with an
    /// end (`not_after`) if it is being rolled.
    pub secrets: Vec<Secret>,
    /// How requests become events. Default by their signature.
    pub validation: Validation,
    /// `validation_force_unverified`: whether `validation = "none"` believes live events too.
    /// Default no: anyone who knows the URL could send them.
    pub force_unverified: bool,
    /// The `[[stripe.account]]` it belongs to, by name. Default the default one.
    pub account: Option<String>,
    /// Which mode its events must be of. Default either.
    pub livemode: Option<bool>,
    /// Whether its events must be those of connected accounts, or of none. Default either.
    pub connect: Option<bool>,
    /// Greatest age of a signature. Default 300 s, as Stripe's libraries have it; zero turns the
    /// check off.
    pub tolerance: Duration,
    /// For people.
    pub description: Option<String>,
}

impl EndpointSettings {
    /// The endpoint as the rest of the host knows it; `now` becomes its date of creation.
    #[must_use]
    pub fn to_endpoint(&self, now: Timestamp) -> Endpoint {
        Endpoint {
            tolerance: self.tolerance,
            description: self.description.clone(),
            created_at: now,
            origin: endpoint::Origin::Config,
            validation: self.validation,
            force_unverified: self.force_unverified,
            account: self.account.clone(),
            livemode: self.livemode,
            connect: self.connect,
            ..Endpoint::new(self.id, self.provider.clone(), self.secrets.clone())
        }
    }
}

/// One `[plugin.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginSettings {
    /// What it may do beyond its own state. Default nothing.
    pub grants: Vec<Grant>,
    /// What it can read by `config.get`. Values are text; numbers and booleans as they are written.
    pub settings: BTreeMap<String, String>,
    /// What one delivery may use: `[plugin.NAME.limits]` over `[plugins.limits]`.
    pub limits: Limits,
    /// `ordering` and `head_of_line`, where `ordering` is set: it wins over the plugin's own wish.
    pub order: Option<Order>,
    /// How its deliveries are run: `head_of_line`, `concurrency`, `pause_after` and
    /// `[plugin.NAME.retry]` over `[dispatch]`.
    pub delivery: DeliveryPolicy,
}

/// `[reconcile]`: looking for events that no webhook brought, in Stripe's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// Whether that is done, for every `[[stripe.account]]` that does not say `reconcile = false`.
    /// Default yes.
    pub enabled: bool,
    /// Time between two looks. Default 5 minutes.
    pub interval: Duration,
    /// How far each look goes back behind the last one, for events that show late in the list.
    /// Default 10 minutes.
    pub overlap: Duration,
    /// Events younger than this are left to their webhook. Default one minute.
    pub grace: Duration,
    /// How far the first look of all goes back. Default 0: nothing from before the first start.
    /// At most 30 days, as far as Stripe's list reaches.
    pub first_since: Duration,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(300),
            overlap: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            first_since: Duration::ZERO,
        }
    }
}

/// `[dispatch]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Deliveries that run at once, over all plugins. Default 64: each holds a guest's memory.
    pub concurrency: usize,
    /// `attempts`, `first_wait`, `longest_wait` and `give_up_after`.
    pub backoff: Backoff,
}

impl Default for Dispatch {
    fn default() -> Self {
        Self { concurrency: 64, backoff: Backoff::default() }
    }
}

/// `[outbox]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    /// Requests under way at once. Default 64: each is a connection and a little memory.
    pub concurrency: usize,
    /// Those of one plugin among them. Default 16: a slow receiver holds up no other plugin.
    pub per_plugin: usize,
    /// Time of one request, from the look-up of the name to the last byte. Default 30 s.
    pub timeout: Duration,
    /// Bytes of an answer that are read. Default 64 KiB: an answer is kept as an event's body.
    pub response: u64,
    /// Networks that are no public ones and may be reached all the same. Default none.
    pub allow_networks: Vec<IpNet>,
    /// A file of certificates (PEM) that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// `attempts`, `first_wait`, `longest_wait` and `give_up_after`.
    pub backoff: Backoff,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_plugin: 16,
            timeout: Duration::from_secs(30),
            response: 64 << 10,
            allow_networks: Vec::new(),
            ca_file: None,
            backoff: Backoff::default(),
        }
    }
}

/// `[mirror]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirror {
    /// Whether each event's objects are kept, for handlers and the operator. Default `true`. Costs one
    /// row for each object that changed; what is held already stays when it is switched off, is no
    /// longer shown, and is old when it is switched on again.
    pub enabled: bool,
    /// Time between two rounds in which objects of which the last state is not sure are fetched from
    /// Stripe, with the keys of `[[stripe.account]]`; zero for never. Default 30 s.
    pub refetch_interval: Duration,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { enabled: true, refetch_interval: Duration::from_secs(30) }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, or directives such as
    /// `info,signalbox::dispatch=debug`. Default `info`.
    pub level: String,
    /// `text` or `json`. Default `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::default() }
    }
}
