//! Public addresses, as opposed to those of this machine and of private networks (the special-purpose
//! registries of RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an untrusted URL may have this address.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        // shared by carriers (RFC 6598)
        || (a == 100 && b & 0xc0 == 64)
        // protocol assignments, 6to4 relays
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // benchmarks (RFC 2544)
        || (a == 198 && b & 0xfe == 18)
        // reserved, broadcast
        || a >= 240)
}

/// Addresses with an embedded IPv4 address are as public as that one. All other public ones are within 2000::/3.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let inner =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match (a, b) {
        // NAT64 (RFC 6052), 6to4 (RFC 3056)
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && inner(high, low),
        (0x2002, _) => inner(b, c),
        // Teredo, ORCHID and other protocol assignments; documentation
        (0x2001, ..0x200) | (0x2001, 0xdb8) => false,
        (0x3fff, ..0x1000) => false,
        _ => a & 0xe000 == 0x2000,
    }
}
