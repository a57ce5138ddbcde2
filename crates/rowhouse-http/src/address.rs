//! The client's address, for rate limits and logs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;

/// Value of `server.client_address_header`: no proxy.
const NO_PROXY: &str = "none";
/// Address of clients whose proxy sends none that can be read. Never loopback, which has additional rights.
const UNREADABLE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The client's address; a request extension. Loopback only if no proxy is configured and the peer is this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The last entry of the trusted proxy's header, else the peer. Earlier entries can be forged by the client.
    #[must_use]
    pub fn find(peer: IpAddr, trusted_header: Option<&str>, headers: &HeaderMap) -> Self {
        let Some(name) = trusted_header.filter(|name| *name != NO_PROXY) else {
            return Self(peer.to_canonical());
        };
        let address = match headers.get_all(name).iter().next_back() {
            Some(value) => value.to_str().ok().and_then(last_entry).unwrap_or(UNREADABLE),
            None => peer,
        };
        let address = address.to_canonical();
        Self(if address.is_loopback() { UNREADABLE } else { address })
    }
}

/// Accepts addresses bare, in brackets, and with ports, as proxies write them.
fn last_entry(text: &str) -> Option<IpAddr> {
    let entry = text.rsplit(',').next()?.trim().trim_matches('"');
    let with_port = || entry.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::HeaderMap;

    use super::ClientAddress;

    fn found(peer: &str, trusted: Option<&str>, values: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        ClientAddress::find(peer.parse().unwrap(), trusted, &headers).0
    }

    #[test]
    fn only_a_configured_header_is_believed_and_only_its_last_entry() {
        let trusted = Some("x-forwarded-for");
        for (trusted, values, address) in [
            (None, &["1.1.1.1"][..], "10.0.0.1"),
            (Some("none"), &["1.1.1.1"], "10.0.0.1"),
            (trusted, &["1.1.1.1, 2.2.2.2"], "2.2.2.2"),
            (trusted, &["1.1.1.1", "2.2.2.2"], "2.2.2.2"),
            (trusted, &[], "10.0.0.1"),
            (trusted, &["203.0.113.5:4711"], "203.0.113.5"),
            (trusted, &["[2001:db8::1]"], "2001:db8::1"),
            (trusted, &["[2001:db8::1]:4711"], "2001:db8::1"),
            (trusted, &["\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (trusted, &["::ffff:192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(found("10.0.0.1", trusted, values), address.parse::<IpAddr>().unwrap(), "{values:?}");
        }
    }

    #[test]
    fn client_behind_a_proxy_is_never_loopback() {
        let trusted = Some("x-forwarded-for");
        for values in [
            &[][..],
            &["unknown"],
            &[""],
            &["8.8.8.8,"],
            &["127.0.0.1"],
            &["::1"],
            &["::ffff:127.0.0.1"],
            &["[::1]:80"],
        ] {
            assert!(!found("127.0.0.1", trusted, values).is_loopback(), "{values:?}");
        }
        assert!(found("::ffff:127.0.0.1", None, &[]).is_loopback());
        assert!(found("127.0.0.1", Some("none"), &["8.8.8.8"]).is_loopback());
    }
}
