//! Posting an event on, signed by the listener's own secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use reqwest::Url;
use sha2::Sha256;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;

use super::super::client::ClientError;
use super::super::trigger::sign;
use super::follow::Event;

/// How long the application may take: as long as providers wait at most.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The wait before another try: doubled from the first to the last.
pub(super) fn wait(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(500);
    const LAST: Duration = Duration::from_secs(30);
    FIRST.saturating_mul(2_u32.saturating_pow(attempt)).min(LAST)
}

/// Where events go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) retries: u32,
    pub(super) skip_verify: bool,
}

/// Posts events.
#[derive(Debug)]
pub(super) struct Forwarder {
    http: reqwest::Client,
    target: Target,
    secret: Secret,
}

/// The secret of the listener that posts to `url`: the same each time, and nobody's who does not
/// hold the admin token. Its text is a secret for Stripe's libraries, its base64 one for those of
/// Standard Webhooks.
pub(super) fn own_secret(token: Option<&Secret>, url: &Url) -> String {
    let key = token.map(Secret::expose).unwrap_or_default();
    // HMAC takes a key of any length; the error it declares cannot come.
    let bytes = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(b"signalbox listen ");
            mac.update(url.as_str().as_bytes());
            mac.finalize().into_bytes().to_vec()
        },
    );
    format!("whsec_{}", hex::encode(bytes))
}

impl Forwarder {
    pub(super) fn new(target: Target, secret: Secret) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT);
        let builder = if target.url.scheme() == "http" {
            // A bare container has no certificates to load, and plain HTTP needs none.
            builder.tls_certs_only([])
        } else {
            builder.tls_danger_accept_invalid_certs(target.skip_verify)
        };
        let http = builder.build().map_err(|error| ClientError::Setup(error.to_string()))?;
        Ok(Self { http, target, secret })
    }

    pub(super) const fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) const fn url(&self) -> &Url {
        &self.target.url
    }

    pub(super) const fn retries(&self) -> u32 {
        self.target.retries
    }

    /// The status of the answer, or why there is none.
    pub(super) async fn post(
        &self,
        event: &Event,
        media: &str,
        body: Bytes,
        now: Timestamp,
    ) -> Result<u16, String> {
        let mut request = self.http.post(self.target.url.clone()).header("content-type", media);
        if event.provider == "stripe" {
            let header = sign::header(&body, std::slice::from_ref(&self.secret), now);
            request = request.header(sign::HEADER, header);
        } else {
            for (name, value) in standard(&event.id, &body, &self.secret, now) {
                request = request.header(name, value);
            }
            request = request
                .header("x-signalbox-provider", &event.provider)
                .header("x-signalbox-type", &event.kind);
        }
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => {
                let mut cause: &dyn std::error::Error = &error;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                Err(cause.to_string())
            }
        }
    }
}

/// The headers of Standard Webhooks.
fn standard(id: &str, body: &[u8], secret: &Secret, now: Timestamp) -> [(&'static str, String); 3] {
    let seconds = now.as_secs().to_string();
    let text = secret.expose();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
    let key = key.unwrap_or_else(|_| text.as_bytes().to_vec());
    let signature = Hmac::<Sha256>::new_from_slice(&key).map_or_else(
        |_| String::new(),
        |mut mac| {
            for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
                mac.update(part);
            }
            STANDARD.encode(mac.finalize().into_bytes())
        },
    );
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration as Time;

    use super::*;
    use crate::domain::event::Header;
    use crate::provider::standard::StandardProvider;
    use crate::provider::{Proof, Provider as _, RawRequest};

    #[test]
    fn the_secret_is_the_urls_and_the_tokens_own() {
        let url = |text: &str| Url::parse(text).unwrap();
        let token = |text: &str| Secret::new(text).unwrap();
        let one = own_secret(Some(&token("t")), &url("http://a/x"));
        assert_eq!(one, own_secret(Some(&token("t")), &url("http://a/x")));
        assert_ne!(one, own_secret(Some(&token("t")), &url("http://a/y")));
        assert_ne!(one, own_secret(Some(&token("u")), &url("http://a/x")));
        assert_eq!(one.len(), 70);
    }

    #[test]
    fn what_is_not_stripes_is_signed_as_standard_webhooks_has_it() {
        let secret = Secret::new(&own_secret(None, &Url::parse("http://a/").unwrap())).unwrap();
        let now = Timestamp::from_secs(1_795_400_000);
        let body = br#"{"type":"a.b"}"#;
        let headers = standard("g-1", body, &secret, now);
        let headers = headers
            .into_iter()
            .map(|(name, value)| Header { name: name.to_owned(), value: value.into_bytes() });
        let request = RawRequest { headers: headers.collect(), body: Bytes::from_static(body) };
        let secrets = [secret];
        let proof = Proof { secrets: &secrets, tolerance: Time::from_secs(300), now };
        let event = StandardProvider::standard().verify(&request, proof).unwrap();
        assert_eq!((event.key.id.as_str(), event.kind.as_str()), ("g-1", "a.b"));
    }

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(wait(0), Duration::from_millis(500));
        assert_eq!(wait(3), Duration::from_secs(4));
        assert_eq!(wait(60), Duration::from_secs(30));
    }
}
