//! A database URL as the environment of libpq's programs, which must not get it among their arguments: it holds a password.

use rowhouse_kernel::Secret;
use tokio_postgres::config::{ChannelBinding, Host};

use super::{SessionAttrs, parse, port};
use crate::error::DbError;
use crate::tls::SslMode;

/// Variables with which psql reaches the same servers in the same way.
///
/// # Errors
/// Those of [`super::read`].
pub fn environment(url: &Secret) -> Result<Vec<(&'static str, String)>, DbError> {
    let (config, options) = parse(url)?;
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let ports: Vec<String> = (0..hosts.len()).map(|at| port(config.get_ports(), at).to_string()).collect();
    let user = config.get_user().unwrap_or("postgres").to_owned();
    let database = config.get_dbname().unwrap_or(&user).to_owned();
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    let is_socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let mut all = vec![
        ("PGHOST", hosts.join(",")),
        ("PGPORT", ports.join(",")),
        ("PGUSER", user),
        ("PGDATABASE", database),
        ("PGPASSWORD", password),
    ];
    if !is_socket {
        // Without a file of authorities, libpq before version 16 can verify nothing.
        let unsaid = super::has_remote(&config).then_some(SslMode::Require);
        all.extend(options.tls.mode.or(unsaid).map(|mode| ("PGSSLMODE", mode.name().to_owned())));
        all.extend(options.tls.root.clone().map(|root| ("PGSSLROOTCERT", root)));
        all.extend(options.tls.certificate.clone().map(|file| ("PGSSLCERT", file)));
        all.extend(options.tls.key.clone().map(|file| ("PGSSLKEY", file)));
    }
    if options.attrs != SessionAttrs::Any {
        all.push(("PGTARGETSESSIONATTRS", options.attrs.name().to_owned()));
    }
    match config.get_channel_binding() {
        ChannelBinding::Require => all.push(("PGCHANNELBINDING", "require".to_owned())),
        ChannelBinding::Disable => all.push(("PGCHANNELBINDING", "disable".to_owned())),
        _ => {}
    }
    all.extend(config.get_options().map(|options| ("PGOPTIONS", options.to_owned())));
    Ok(all)
}
