//! An authority that nobody trusts, a certificate of its own for `hooks.test`, and a server with it.
//!
//! Made for these tests; the key opens nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

pub(super) const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBaTCCAQ+gAwIBAgIBATAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhzaWduYWxi
b3ggdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEyMzU5
NTlaMCMxITAfBgNVBAMMGHNpZ25hbGJveCB0ZXN0IGF1dGhvcml0eTBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABB//RFw05BBu7lhexZExTE0+fNyun3CKTXXltxbd
T3/kVyrrV8C9GJ6qdViFokqxjyRl+vQXDds9xHEd41gR28ajMjAwMA8GA1UdEwEB
/wQFMAMBAf8wHQYDVR0OBBYEFL4+P1leLRy/sNbuTmf9hoOR/2RJMAoGCCqGSM49
BAMCA0gAMEUCIDdQlIecCo4BTqbxJIzxMRU3C2zbDSdTT0aVJw/MfwfSAiEA48X9
0gIvWHJW3+lNMh9LlQPtDPyIOqXoBQiaRr8X/aU=
-----END CERTIFICATE-----
";

const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBojCCAUigAwIBAgIBAjAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhzaWduYWxi
b3ggdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEyMzU5
NTlaMBUxEzARBgNVBAMMCmhvb2tzLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAR2Ad5SIjlCNytdQ0hWIQ952DItVqNZZwJIZyhgGK/ug/UGRDdxVzFXgsnq
KiIzqXOJI0IXYVKhVkT8wJVKAa9Ao3kwdzAVBgNVHREEDjAMggpob29rcy50ZXN0
MAkGA1UdEwQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFLpEeI6r
ZxzpCMoCzL3K8BR/81uzMB8GA1UdIwQYMBaAFL4+P1leLRy/sNbuTmf9hoOR/2RJ
MAoGCCqGSM49BAMCA0gAMEUCIE/tBjJtcn7fHfphhyspgtXb+udw6PMIokaBUs3I
cSMsAiEAyjbrCXHXGE8/X4AvAQfC3/j3idqQOBMrV4EiQcXS2gc=
-----END CERTIFICATE-----
";

const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMgi28Ime48RAz5Rj
B3+bDeQgckpEtKo4TeUje3zurbGhRANCAAR2Ad5SIjlCNytdQ0hWIQ952DItVqNZ
ZwJIZyhgGK/ug/UGRDdxVzFXgsnqKiIzqXOJI0IXYVKhVkT8wJVKAa9A
-----END PRIVATE KEY-----
";

/// Answers `200` to every connection that agrees on TLS; the port.
pub(super) fn secure_server() -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = Stream::new(&mut session, &mut stream);
            let mut read = Vec::new();
            let mut chunk = [0; 1_024];
            // The body that every request here has ends so.
            while !read.ends_with(b"}") {
                match tls.read(&mut chunk) {
                    Ok(count) if count > 0 => read.extend_from_slice(&chunk[..count]),
                    _ => break,
                }
            }
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            session.send_close_notify();
            let _ = session.write_tls(&mut stream);
        }
    });
    port
}
