//! What the tests of several modules share: endpoints and routing tables.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, Origin, Secret};
use crate::domain::plugin::Subscription;
use crate::plugin::routes::{PluginReport, PluginStatus, Routes, RoutingTable};

/// The secret of every endpoint here.
pub(crate) const SECRET: &str = "whsec_test_secret";

/// The moment of the tests, in seconds.
pub(crate) const NOW: u64 = 1_795_400_000;

/// A `v1` signature, made without the code under test.
pub(crate) fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// An endpoint of the configuration.
pub(crate) fn endpoint(number: u128) -> Endpoint {
    Endpoint {
        id: EndpointId(Uuid::from_u128(number)),
        provider: "stripe".into(),
        secrets: vec![Secret::new(SECRET).unwrap()],
        tolerance: Endpoint::DEFAULT_TOLERANCE,
        description: None,
        created_at: Timestamp::from_secs(1),
        origin: Origin::Config,
    }
}

/// Routes to loaded plugins, each by its name and its pattern of Stripe's types.
pub(crate) fn routes_to(plugins: &[(&str, &str)]) -> Routes {
    let reports = plugins.iter().map(|(name, kind)| PluginReport {
        file: format!("{name}.wasm").into(),
        name: Some(name.parse().unwrap()),
        version: Some(semver::Version::new(1, 2, 3)),
        digest: None,
        status: PluginStatus::Loaded,
        reason: None,
        subscriptions: vec![Subscription {
            provider: "stripe".into(),
            kind: kind.parse().unwrap(),
            filter: None,
        }],
        grants: vec![],
        limits: None,
    });
    let routes = Routes::default();
    routes.swap(RoutingTable::stand_in(reports.collect()));
    routes
}
