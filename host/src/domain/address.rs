//! Which addresses are public, and what the others are for.
//!
//! Pure. Not what may be connected to (`outbox::guard`, where the tests of every class are).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressClass {
    /// This machine.
    Loopback,
    /// A network of someone's own (RFC 1918, unique local).
    Private,
    /// A carrier's own (RFC 6598).
    Shared,
    /// Neighbours on the wire.
    LinkLocal,
    /// Where clouds tell a machine its credentials.
    Metadata,
    /// No address at all.
    Unspecified,
    /// Many at once.
    Multicast,
    /// All at once.
    Broadcast,
    /// Documentation, benchmarks, tunnels, and what nobody was given yet.
    Reserved,
    /// It is public, and plain `http` is for allowed networks alone.
    Plain,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "a shared (carrier's) address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Reserved => "a reserved address",
            Self::Plain => "a public address asked for by plain `http`",
        })
    }
}

/// Why this address is not public; `None` when it is.
#[must_use]
pub fn classify(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// The registry of special-purpose addresses (RFC 6890 and those after it), and what clouds use.
const fn classify_v4(address: Ipv4Addr) -> Option<AddressClass> {
    use AddressClass as C;
    Some(match address.octets() {
        [0, 0, 0, 0] => C::Unspecified,
        [127, ..] => C::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => C::Private,
        [100, 64..=127, ..] => C::Shared,
        // Azure's stands among public addresses.
        [169, 254, 169, 254] | [168, 63, 129, 16] => C::Metadata,
        [169, 254, ..] => C::LinkLocal,
        [255, 255, 255, 255] => C::Broadcast,
        [224..=239, ..] => C::Multicast,
        [0, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => C::Reserved,
        _ => return None,
    })
}

fn classify_v6(address: Ipv6Addr) -> Option<AddressClass> {
    use AddressClass as C;
    if let Some(inner) = embedded(address) {
        return classify_v4(inner);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => C::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => C::Loopback,
        // Addresses of the old form with an IPv4 address inside: nobody is given one.
        [0, 0, 0, 0, 0, 0, high, low] => {
            let inner = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
            classify_v4(inner).unwrap_or(C::Reserved)
        }
        // Amazon's, among unique local ones.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => C::Metadata,
        [0xfc00..=0xfdff, ..] => C::Private,
        [0xfe80..=0xfebf, ..] => C::LinkLocal,
        // Site-local, given up and still in use.
        [0xfec0..=0xfeff, ..] => C::Private,
        [0xff00..=0xffff, ..] => C::Multicast,
        // Of the public range: protocols' own and tunnels (Teredo), documentation, 6to4.
        [0x2001, 0x0000..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0x0000..=0x0fff, ..] => {
            C::Reserved
        }
        [0x2000..=0x3fff, ..] => return None,
        _ => C::Reserved,
    })
}

/// The IPv4 address that is meant by a mapped one, or by one of the well-known translation prefix
/// (NAT64, RFC 6052), through which networks without IPv4 reach all of it.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., high, low] = address.segments();
    let translated = matches!(address.segments(), [0x64, 0xff9b, 0, 0, 0, 0, _, _]);
    let inner = || Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    address.to_ipv4_mapped().or_else(|| translated.then(inner))
}
