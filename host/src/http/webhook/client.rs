//! Who sent a request: the peer, or whom a trusted proxy names.
//!
//! Nobody else is believed: anyone can send an `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;

use crate::domain::request::Client;

/// Most hops looked at: proxies stand in rows of two or three.
const MAX_HOPS: usize = 32;

/// The client behind `peer`. The rightmost address that is no trusted proxy's is its; what stands left
/// of it was written by somebody unknown. Where both kinds of headers are there and disagree, a proxy
/// passed one of them on unseen, and neither is believed.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let alone = Client { address: peer, proxy: None };
    if !is_trusted(&peer) {
        return alone;
    }
    let found = |name: &str, read: fn(&str) -> Option<IpAddr>| {
        let lines = headers.get_all(name).iter().rev();
        let hops = lines
            .map(|line| line.to_str().unwrap_or_default())
            .flat_map(|line| line.rsplit(','))
            .take(MAX_HOPS);
        let mut last = None;
        for hop in hops {
            // What cannot be read hides what is behind it.
            let Some(address) = read(hop.trim()) else { break };
            last = Some(address);
            if !is_trusted(&address) {
                break;
            }
        }
        last
    };
    let (common, standard) = (found("x-forwarded-for", address), found("forwarded", forwarded));
    let named = match (common, standard) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => one.or(other),
    };
    named.map_or(alone, |address| Client { address, proxy: Some(peer) })
}

/// An address, perhaps with a port, perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn told(peer: &str, lines: &[(&'static str, &str)], trusted: &[&str]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let client = client(peer.parse().unwrap(), &headers, &trusted);
        (client.address.to_string(), client.proxy.is_some())
    }

    const XFF: &str = "x-forwarded-for";
    const FWD: &str = "forwarded";

    #[test]
    fn nobody_is_believed_by_default() {
        let lines = [(XFF, "6.6.6.6"), (FWD, "for=7.7.7.7")];
        assert_eq!(told("10.0.0.1", &lines, &[]), ("10.0.0.1".into(), false));
        assert_eq!(told("192.0.2.1", &lines, &["10.0.0.0/8"]), ("192.0.2.1".into(), false));
    }

    #[test]
    fn a_trusted_proxy_names_the_rightmost_stranger() {
        let net = &["10.0.0.0/8", "fd00::/8"];
        for (lines, address) in [
            (vec![(XFF, "1.2.3.4")], "1.2.3.4"),
            (vec![(XFF, "6.6.6.6, 1.2.3.4")], "1.2.3.4"),
            (vec![(XFF, "6.6.6.6, 1.2.3.4, 10.0.0.9")], "1.2.3.4"),
            (vec![(XFF, "6.6.6.6"), (XFF, "1.2.3.4")], "1.2.3.4"),
            (vec![(XFF, "1.2.3.4:5678")], "1.2.3.4"),
            (vec![(XFF, "[2001:db8::1]:5678")], "2001:db8::1"),
            (vec![(XFF, "::ffff:1.2.3.4")], "1.2.3.4"),
            (vec![(XFF, "10.0.0.2, 10.0.0.9")], "10.0.0.2"),
            (vec![(XFF, "6.6.6.6, unknown, 10.0.0.9")], "10.0.0.9"),
            (vec![(FWD, "for=6.6.6.6, for=1.2.3.4;proto=https")], "1.2.3.4"),
            (vec![(FWD, "proto=https;For=\"[2001:db8::1]:80\"")], "2001:db8::1"),
            (vec![(FWD, "for=1.2.3.4"), (XFF, "1.2.3.4")], "1.2.3.4"),
        ] {
            assert_eq!(told("10.0.0.1", &lines, net), (address.into(), true), "{lines:?}");
        }
        for lines in [
            vec![],
            vec![(XFF, "unknown")],
            vec![(XFF, "")],
            vec![(FWD, "for=_hidden")],
            vec![(FWD, "for=6.6.6.6"), (XFF, "1.2.3.4")],
        ] {
            assert_eq!(told("10.0.0.1", &lines, net), ("10.0.0.1".into(), false), "{lines:?}");
        }
    }
}
