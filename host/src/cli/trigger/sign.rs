//! Stripe's signature header, as Stripe makes it.
//!
//! Source: <https://docs.stripe.com/webhooks#verify-manually>. HMAC-SHA256 over `t`, a dot and the
//! body; the key is the whole secret; one `v1` for each live secret.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;

/// Its name.
pub(crate) const HEADER: &str = "Stripe-Signature";

/// `t=1492774577,v1=5257a869e7…`
pub(crate) fn header(body: &[u8], secrets: &[Secret], now: Timestamp) -> String {
    let time = now.as_secs().to_string();
    let mut header = format!("t={time}");
    for secret in secrets {
        // HMAC takes a key of any length; the error it declares cannot come.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
            continue;
        };
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        header.push_str(",v1=");
        header.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by `openssl dgst -sha256 -hmac`.
    #[test]
    fn the_header_is_the_one_stripe_makes() {
        let secrets = [Secret::new("whsec_test").unwrap(), Secret::new("whsec_old").unwrap()];
        let header = header(b"{\"id\":\"evt_1\"}", &secrets, Timestamp::from_secs(1_700_000_000));
        assert_eq!(
            header,
            "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925,v1=ef1b1b7e4b312671a75ef2a03e10529f7834a6528a49db77ad6568c8c8017843"
        );
    }
}
