//! Reads `redis.url`: which servers, where, and how they are reached. Leaves connecting to `link`.

use std::net::IpAddr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use rowhouse_kernel::Secret;

/// A server's address.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) info: ConnectionInfo,
    /// A Unix socket, or loopback.
    pub(crate) is_local: bool,
    pub(crate) has_tls: bool,
}

impl Address {
    fn new(info: ConnectionInfo) -> Self {
        let (is_local, has_tls) = match info.addr() {
            ConnectionAddr::Tcp(host, _) => (is_loopback(host), false),
            ConnectionAddr::TcpTls { host, .. } => (is_loopback(host), true),
            _ => (true, false),
        };
        Self { info, is_local, has_tls }
    }

    /// The password, if it has one.
    pub(crate) fn password(&self) -> Option<&str> {
        self.info.redis_settings().password()
    }

    fn is_socket(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::Unix(_))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The servers of a URL, of several with commas between them for a cluster. Errors repeat nothing of it: it holds a password.
pub(crate) fn read(url: &Secret, is_cluster: bool) -> Result<Vec<Address>, String> {
    let found: Vec<Address> = url.expose().split(',').map(read_one).collect::<Result<_, _>>()?;
    let is_unlike =
        |address: &Address| address.has_tls != found[0].has_tls || address.password() != found[0].password();
    if !is_cluster && found.len() > 1 {
        return Err("several addresses are for redis.cluster; write a comma in a password as %2C".to_owned());
    }
    if is_cluster
        && found.iter().any(|address| address.is_socket() || address.info.redis_settings().db() != 0)
    {
        return Err("nodes of a cluster have no Unix sockets, and no database but 0".to_owned());
    }
    if found.iter().any(is_unlike) {
        return Err("nodes of a cluster have TLS and the password in common".to_owned());
    }
    Ok(found)
}

fn read_one(text: &str) -> Result<Address, String> {
    let text = text.trim();
    if text.split_once('#').is_some_and(|(_, fragment)| fragment == "insecure") {
        return Err(
            "#insecure is not supported: certificates are always verified; see redis.ca_file".to_owned()
        );
    }
    let info = text.into_connection_info();
    let info = info.map_err(|error| {
        let why = error.to_string();
        let why = why.split(" - ").next().unwrap_or_default();
        format!("expected redis://, rediss:// or unix:// and an address: {why}")
    })?;
    Ok(Address::new(info))
}
