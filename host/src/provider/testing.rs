//! What the tests here and above share: an independent signer and an endpoint.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, Origin, Secret};

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
    let id = EndpointId(Uuid::from_u128(number));
    Endpoint {
        created_at: Timestamp::from_secs(1),
        origin: Origin::Config,
        ..Endpoint::new(id, "stripe", vec![Secret::new(SECRET).unwrap()])
    }
}
