//! Subjects of limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

/// An IPv6 client has a /64, customers often a /56 and sites a /48 (RFC 6177). Prefix lengths with multiples of the
/// budget of a /64; a larger network gets less than the sum of its parts.
const NETWORKS: [(u8, u32); 3] = [(48, 16), (56, 4), (64, 1)];
/// Longest name, in bytes; longer ones are truncated.
const MAX_NAME_BYTES: usize = 64;

/// A subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 network: its first address and how many bits it has.
    V6(Ipv6Addr, u8),
    /// A user.
    User(Uuid),
    /// An API key, by its id.
    Key(Box<str>),
    /// A tenant.
    Tenant(Uuid),
    /// A plan, shared by its tenants.
    Plan(Box<str>),
}

impl Subject {
    /// An API key, by its id.
    #[must_use]
    pub fn key(id: &str) -> Self {
        Self::Key(id[..id.floor_char_boundary(MAX_NAME_BYTES)].into())
    }

    /// A plan, shared by its tenants.
    #[must_use]
    pub fn plan(name: &str) -> Self {
        Self::Plan(name[..name.floor_char_boundary(MAX_NAME_BYTES)].into())
    }

    /// The networks that an address is counted in, widest first, and the multiple of a single budget that each has.
    #[must_use]
    pub fn networks(address: IpAddr) -> Vec<(Self, u32)> {
        match address.to_canonical() {
            IpAddr::V4(v4) => vec![(Self::V4(v4), 1)],
            IpAddr::V6(v6) => {
                let network = |(bits, factor)| (Self::V6(first_of(v6, bits), bits), factor);
                NETWORKS.into_iter().map(network).collect()
            }
        }
    }

    /// The kind of subject, for headers and keys.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::V4(_) => "address",
            Self::V6(..) => "network",
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::Tenant(_) => "tenant",
            Self::Plan(_) => "plan",
        }
    }
}

fn first_of(address: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let mask = u128::MAX << (128 - u32::from(bits));
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(Subject, u32)> {
        Subject::networks(text.parse().unwrap())
    }

    #[test]
    fn ipv6_is_counted_by_network_and_mapped_ipv4_is_ipv4() {
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8:1:203::1"), of("2001:db8:1:203::ffff"));
        let (here, there) = (of("2001:db8:1:203::1"), of("2001:db8:1:2ff::1"));
        assert_eq!((&here[0], &here[1]), (&there[0], &there[1]));
        assert_ne!(here[2], there[2]);
        assert_eq!(here[1].0, Subject::V6("2001:db8:1:200::".parse().unwrap(), 56));
    }
}
