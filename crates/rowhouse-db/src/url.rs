//! Database URLs, parsed in one place, so that every connection interprets them alike. All forms of libpq are
//! read: `postgres://` with several hosts, and `key=value` pairs. Leaves TLS to `tls`.

mod environment;
mod option;
mod part;
mod session_attrs;
mod target;

use std::error::Error;
use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use crate::error::DbError;
use crate::tls::SslMode as Asked;
pub use environment::environment;
use option::Options;
pub(crate) use session_attrs::{ServerState, SessionAttrs};
pub(crate) use target::{Target, drive, poll_fit, state};

/// A peer that vanished without closing (failover, network failure) is given up after about this long.
pub(crate) const PEER_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Reads a URL.
///
/// # Errors
/// If it is malformed, or the files that it names for TLS cannot be read.
pub(crate) fn target(url: &Secret) -> Result<Target, DbError> {
    let (mut config, options) = parse(url)?;
    let mode = options.tls.mode(has_remote(&config));
    let is_socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let mode = if is_socket { Asked::Disable } else { mode };
    config.ssl_mode(match mode {
        Asked::Disable => SslMode::Disable,
        Asked::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    });
    Ok(Target { tls: options.tls.connector(mode)?, attrs: options.attrs, config })
}

/// Refuses a URL that cannot be used: malformed, or with files for TLS that cannot be read.
///
/// # Errors
/// Which part of it is wrong.
pub fn check(url: &Secret) -> Result<(), DbError> {
    target(url).map(drop)
}

/// The URL without what TLS needs.
///
/// # Errors
/// If it is malformed.
pub fn read(url: &Secret) -> Result<Config, DbError> {
    parse(url).map(|(config, _)| config)
}

fn parse(url: &Secret) -> Result<(Config, Options), DbError> {
    part::check(url.expose()).map_err(|why| bad(&why))?;
    let (text, options) = option::split(url.expose()).map_err(|why| bad(&why))?;
    let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
        // The error itself says only that something is wrong.
        bad(&error.source().map_or_else(|| error.to_string(), ToString::to_string))
    })?;
    if config.get_hosts().is_empty() {
        return Err(bad("the host is missing"));
    }
    if !config.get_hostaddrs().is_empty() {
        return Err(bad("hostaddr is not supported; give the address as the host"));
    }
    let sockets = config.get_hosts().iter().filter(|host| matches!(host, Host::Unix(_))).count();
    if sockets > 0 && sockets < config.get_hosts().len() {
        return Err(bad("socket folders and hosts cannot be mixed"));
    }
    config.keepalives_idle(PROBE_EVERY).keepalives_interval(PROBE_EVERY).keepalives_retries(2);
    config.tcp_user_timeout(PEER_TIMEOUT);
    Ok((config, options))
}

/// The login that a URL names.
///
/// # Errors
/// Those of [`read`].
pub fn login(url: &Secret) -> Result<String, DbError> {
    Ok(read(url)?.get_user().unwrap_or("postgres").to_owned())
}

/// The database of a URL, without login and password: `"app" on db.internal`.
///
/// # Errors
/// Those of [`read`].
pub fn describe(url: &Secret) -> Result<String, DbError> {
    let config = read(url)?;
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    let ports = if ports.is_empty() { String::new() } else { format!(", port {}", ports.join(", ")) };
    Ok(format!("\"{database}\" on {}{ports}", hosts.join(", ")))
}

/// True if the URL names another machine, so that plain text could be read on the network.
///
/// # Errors
/// Those of [`read`].
pub fn is_remote(url: &Secret) -> Result<bool, DbError> {
    Ok(has_remote(&read(url)?))
}

/// True if the URL asks for plain text.
///
/// # Errors
/// Those of [`read`].
pub fn is_plain(url: &Secret) -> Result<bool, DbError> {
    let (config, options) = parse(url)?;
    Ok(options.tls.mode(has_remote(&config)) == Asked::Disable)
}

fn has_remote(config: &Config) -> bool {
    config.get_hosts().iter().any(|host| match host {
        Host::Tcp(host) => {
            host != "localhost"
                && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => false,
    })
}

/// The same hosts, database, TLS, `target_session_attrs`, `channel_binding` and `options` under another login: what leads
/// to the server and the parameters of the session. Nothing else is taken over: a `user=` among a URL's parameters would
/// win over the login before the `@`.
///
/// # Errors
/// Those of [`read`].
pub fn with_login(url: &Secret, user: &str, password: &Secret) -> Result<Secret, DbError> {
    let parsed = parse(url)?;
    let config = &parsed.0;
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or("postgres");
    Ok(written(&parsed, user, password.expose(), database))
}

/// The same server, login and session in another of its databases.
///
/// # Errors
/// Those of [`read`].
pub fn with_database(url: &Secret, database: &str) -> Result<Secret, DbError> {
    let parsed = parse(url)?;
    let config = &parsed.0;
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
    Ok(written(&parsed, config.get_user().unwrap_or("postgres"), &password, database))
}

fn written((config, options): &(Config, Options), user: &str, password: &str, database: &str) -> Secret {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let name = match host {
                Host::Tcp(host) => escaped(host),
                Host::Unix(folder) => escaped(&folder.to_string_lossy()),
            };
            format!("{name}:{}", port(ports, at))
        })
        .collect();
    let mut text = format!(
        "postgres://{}:{}@{}/{}",
        escaped(user),
        escaped(password),
        hosts.join(","),
        escaped(database)
    );
    let mut parameters = options.tls.pairs();
    if options.attrs != SessionAttrs::Any {
        parameters.push(("target_session_attrs", options.attrs.name().to_owned()));
    }
    match config.get_channel_binding() {
        ChannelBinding::Require => parameters.push(("channel_binding", "require".to_owned())),
        ChannelBinding::Disable => parameters.push(("channel_binding", "disable".to_owned())),
        _ => {}
    }
    parameters.extend(config.get_options().map(|options| ("options", options.to_owned())));
    for (at, (name, value)) in parameters.iter().enumerate() {
        let sign = if at == 0 { '?' } else { '&' };
        text.push_str(&format!("{sign}{name}={}", escaped(value)));
    }
    Secret::new(text)
}

/// The port of the host at `at`: one for all, or one each.
pub(crate) fn port(ports: &[u16], at: usize) -> u16 {
    let only = if ports.len() == 1 { ports.first() } else { ports.get(at) };
    only.copied().unwrap_or(5432)
}

/// Everything but letters and digits as `%XX` (RFC 3986 section 2.1).
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn bad(why: &str) -> DbError {
    DbError::Unusable(
        format!("bad database URL (expected postgres://user:password@host:port/database): {why}").into(),
    )
}

#[cfg(test)]
mod tests;
