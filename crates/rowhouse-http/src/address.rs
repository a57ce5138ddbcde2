//! The client's address, for rate limits and logs.

use std::net::IpAddr;

use http::HeaderMap;

/// Where a request came from; a request extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The last entry of the trusted proxy's header, else the peer. Earlier entries are the client's own claim.
    #[must_use]
    pub fn find(peer: IpAddr, trusted_header: Option<&str>, headers: &HeaderMap) -> Self {
        let named = trusted_header.and_then(|name| headers.get_all(name).iter().next_back());
        let last = named.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Self(last.unwrap_or(peer))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::ClientAddress;

    #[test]
    fn only_a_configured_header_is_believed_and_only_its_last_entry() {
        let peer = "10.0.0.1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        assert_eq!(ClientAddress::find(peer, None, &headers).0, peer);
        let found = ClientAddress::find(peer, Some("x-forwarded-for"), &headers);
        assert_eq!(found.0.to_string(), "2.2.2.2");
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(ClientAddress::find(peer, Some("x-forwarded-for"), &headers).0, peer);
    }
}
