//! Which addresses a request may be sent to: public ones, and those of networks that the operator
//! allows.
//!
//! Pure: nothing here resolves a name (`resolve`) or connects. What is not known to be public is
//! refused.

use std::net::IpAddr;

use ipnet::IpNet;

pub use crate::domain::address::AddressClass;
use crate::domain::address::classify;

/// No address of the host may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused to connect to {host}: {address} is {class}; if that is meant, allow its network in \
     `outbox.allow_networks`"
)]
pub struct Refused {
    /// As the URL names it.
    pub host: String,
    /// The first address that was refused.
    pub address: IpAddr,
    /// Why.
    pub class: AddressClass,
}

/// The operator's word on where requests may go.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    /// Networks that may be connected to though they are not public.
    pub(super) allowed: Vec<IpNet>,
    /// Only those: for plain `http`.
    pub(super) only_allowed: bool,
}

impl Guard {
    /// Of `addresses`, those that may be connected to. An empty answer of a resolver stays empty.
    ///
    /// # Errors
    /// There is none, or, where only allowed networks are allowed, not all are.
    pub(super) fn check(&self, host: &str, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Refused> {
        let mut kept = Vec::new();
        let mut refused = None;
        for &address in addresses {
            match self.judge(address) {
                None => kept.push(address),
                Some(class) => refused = refused.or(Some((address, class))),
            }
        }
        match refused {
            Some((address, class)) if kept.is_empty() || self.only_allowed => {
                Err(Refused { host: host.to_owned(), address, class })
            }
            _ => Ok(kept),
        }
    }

    /// Why this address must not be connected to; `None` when it may.
    fn judge(&self, address: IpAddr) -> Option<AddressClass> {
        // An address that only wraps another is in that one's network.
        let address = address.to_canonical();
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return None;
        }
        classify(address).or(self.only_allowed.then_some(AddressClass::Plain))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use proptest::prelude::*;

    fn guard(allowed: &[&str]) -> Guard {
        let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
        Guard { allowed, only_allowed: false }
    }

    fn judge(guard: &Guard, address: &str) -> Option<AddressClass> {
        guard.judge(address.parse().unwrap())
    }

    #[test]
    fn every_class_is_told() {
        use AddressClass as C;
        let table: &[(AddressClass, &[&str])] = &[
            (C::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]),
            (C::Loopback, &["64:ff9b::7f00:1", "::127.0.0.1"]),
            (C::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]),
            (C::Private, &["fc00::1", "fdff::1", "fec0::1", "::ffff:10.1.2.3", "64:ff9b::a01:203"]),
            (C::Shared, &["100.64.0.1", "100.127.255.255", "100.100.100.200"]),
            (C::LinkLocal, &["169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.1.1"]),
            (C::Metadata, &["169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe"]),
            (C::Metadata, &["168.63.129.16", "fd00:ec2::254"]),
            (C::Unspecified, &["0.0.0.0", "::", "::ffff:0.0.0.0"]),
            (C::Broadcast, &["255.255.255.255"]),
            (C::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1"]),
            (C::Reserved, &["0.1.2.3", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1"]),
            (C::Reserved, &["198.19.255.255", "198.51.100.7", "203.0.113.9", "240.0.0.1"]),
            // Documentation, Teredo, 6to4 around 10.0.0.1, local translation, discard, SRv6.
            (C::Reserved, &["2001:db8::1", "2001::1", "2001:0:a00:1::1", "2002:a00:1::1"]),
            (C::Reserved, &["3fff::1", "64:ff9b:1::a00:1", "100::1", "5f00::1", "::8.8.8.8"]),
        ];
        for (class, addresses) in table {
            for address in *addresses {
                assert_eq!(judge(&guard(&[]), address), Some(*class), "{address}");
            }
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.1.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(judge(&guard(&[]), public), None, "{public}");
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_in_every_form_and_no_other() {
        let guard = guard(&["10.1.0.0/16", "fd00:1::/32"]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::9"] {
            assert_eq!(judge(&guard, address), None, "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "fd00:2::1", "::ffff:10.2.0.1"] {
            assert!(judge(&guard, address).is_some(), "{address}");
        }
    }

    #[test]
    fn refused_addresses_are_dropped_and_plain_http_takes_all_or_nothing() {
        let [public, loopback, private] =
            ["8.8.8.8", "127.0.0.1", "10.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let mut guard = guard(&["10.0.0.0/8"]);
        assert_eq!(guard.check("h", &[loopback, public]), Ok(vec![public]));
        let refused = guard.check("h", &[loopback]).unwrap_err();
        assert_eq!(refused.class, AddressClass::Loopback);
        assert!(refused.to_string().contains("outbox.allow_networks"), "{refused}");
        guard.only_allowed = true;
        assert_eq!(guard.check("h", &[private]), Ok(vec![private]));
        for mixed in [[private, public], [private, loopback]] {
            assert!(guard.check("h", &mixed).is_err());
        }
        assert_eq!(guard.check("h", &[]), Ok(vec![]));
    }

    proptest! {
        /// However a private address is wrapped, it is not let through.
        #[test]
        fn no_private_address_passes_in_disguise(
            network in prop::sample::select(vec![
                (0x7f00_0000_u32, 8_u32), (0x0a00_0000, 8), (0xac10_0000, 12), (0xc0a8_0000, 16),
                (0xa9fe_0000, 16), (0x6440_0000, 10), (0, 8), (0xe000_0000, 3),
            ]),
            host: u32,
            low: u64,
        ) {
            let (base, bits) = network;
            let inner = Ipv4Addr::from(base | (host & (u32::MAX >> bits)));
            let (word, wide) = (u128::from(u32::from(inner)), u128::from(low));
            let guard = Guard::default();
            prop_assert!(guard.judge(inner.into()).is_some());
            let forms = [
                word,                                            // compatible
                0xffff_0000_0000 | word,                         // mapped
                0xffff_0000_0000_0000 | word,                    // translated (RFC 2765)
                (0x0064_ff9b_u128 << 96) | word,                 // NAT64
                (0x0064_ff9b_0001_u128 << 80) | word,            // NAT64, local
                (0x2002_u128 << 112) | (word << 80) | wide,      // 6to4
                (0x2001_0000_u128 << 96) | (word << 64) | wide,  // Teredo's server
                (0x2001_0000_u128 << 96) | (wide << 32) | (word ^ 0xffff_ffff), // Teredo's client
            ];
            for form in forms {
                let form = Ipv6Addr::from(form);
                prop_assert!(guard.judge(form.into()).is_some(), "{form}");
            }
        }
    }
}
