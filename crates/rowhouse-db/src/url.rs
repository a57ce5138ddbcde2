//! Database URLs: read once, in one place, so that every connection agrees on what they ask for.

use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::DbError;

/// A peer that vanished without a farewell (a failover, a cut cable) is given up after about this long.
pub(crate) const PEER_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Reads a `postgres://` URL.
///
/// # Errors
/// If it is malformed, names several hosts, or asks for TLS, which connections do not speak: they would go on in
/// plain text without a word.
pub fn read(url: &Secret) -> Result<Config, DbError> {
    let text = url.expose();
    if text.contains("sslmode=verify") {
        return Err(no_tls());
    }
    let mut config: Config = text.parse().map_err(|error| bad(&format!("{error}")))?;
    if !matches!(config.get_ssl_mode(), SslMode::Disable | SslMode::Prefer) {
        return Err(no_tls());
    }
    if config.get_hosts().len() != 1 || !config.get_hostaddrs().is_empty() {
        return Err(bad("it must name exactly one host, and no hostaddr"));
    }
    config.keepalives_idle(PROBE_EVERY).keepalives_interval(PROBE_EVERY).keepalives_retries(2);
    config.tcp_user_timeout(PEER_TIMEOUT);
    Ok(config)
}

/// The login that a URL names.
///
/// # Errors
/// Those of [`read`].
pub fn login(url: &Secret) -> Result<String, DbError> {
    Ok(read(url)?.get_user().unwrap_or("postgres").to_owned())
}

/// True if the URL leads to another machine, where plain text can be read on the way.
///
/// # Errors
/// Those of [`read`].
pub fn is_remote(url: &Secret) -> Result<bool, DbError> {
    Ok(match read(url)?.get_hosts() {
        [Host::Tcp(host), ..] => {
            host != "localhost"
                && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    })
}

/// The same host, port and database under another login. Nothing else is taken over: a `user=` among a URL's
/// parameters would win over the login before the `@`.
///
/// # Errors
/// Those of [`read`].
pub fn with_login(url: &Secret, user: &str, password: &Secret) -> Result<Secret, DbError> {
    let config = read(url)?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(folder)) => folder.to_string_lossy().into_owned(),
        None => return Err(bad("it names no host")),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or("postgres");
    Ok(Secret::new(format!(
        "postgres://{}:{}@{}:{port}/{}",
        escaped(user),
        escaped(password.expose()),
        escaped(&host),
        escaped(database)
    )))
}

/// Everything but letters and digits as `%XX` (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn bad(why: &str) -> DbError {
    DbError::Unavailable(format!(
        "bad database URL (expected postgres://user:password@host:port/database): {why}"
    ))
}

fn no_tls() -> DbError {
    DbError::Unavailable(
        "the database URL asks for TLS (sslmode), which connections to PostgreSQL do not speak; reach the server over a private network or a local proxy that does, and say sslmode=disable".to_owned(),
    )
}

#[cfg(test)]
mod tests;
