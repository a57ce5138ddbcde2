//! Connections to the servers of a URL, over tokio-postgres. Leaves flights to `flight::login`.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket};

use super::session_attrs::{ServerState, SessionAttrs};
use crate::tls::{Secured, Tls};

/// A parsed URL.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) attrs: SessionAttrs,
}

pub(crate) type Connection = tokio_postgres::Connection<Socket, Secured<Socket>>;

impl Target {
    /// Signs in to the first server that answers as `target_session_attrs` asks.
    pub(crate) async fn connect(&self) -> Result<(Client, Connection), Error> {
        if self.attrs == SessionAttrs::Any {
            return self.config.connect(self.tls.clone()).await;
        }
        let mut failure = None;
        for attrs in self.attrs.passes() {
            for at in 0..self.config.get_hosts().len() {
                match only(&self.config, at).connect(self.tls.clone()).await {
                    Ok((client, connection)) if attrs.accepts(state(&connection)) => {
                        return Ok((client, connection));
                    }
                    Ok(_) => failure = None,
                    Err(error) => failure = Some(error),
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => {
                self.attrs.refuse().await?;
                self.config.connect(self.tls.clone()).await
            }
        }
    }
}

/// The same for the host at `at` alone.
fn only(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(at) {
        Some(Host::Tcp(host)) => one.host(host),
        Some(Host::Unix(folder)) => one.host_path(folder),
        None => &mut one,
    };
    one.port(super::port(config.get_ports(), at));
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|database| one.dbname(database));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|limit| one.connect_timeout(*limit));
    config.get_tcp_user_timeout().map(|limit| one.tcp_user_timeout(*limit));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    one.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding());
    one
}

/// What the server has last reported.
pub(crate) fn state(connection: &Connection) -> ServerState {
    ServerState::of(|name| connection.parameter(name))
}

/// The next message; none once `is_fit` no longer holds for what the server reports of itself, so that the session ends and
/// the next one looks for a server again.
pub(crate) fn poll_fit(
    connection: &mut Connection,
    context: &mut Context<'_>,
    is_fit: impl Fn(ServerState) -> bool,
) -> Poll<Option<Result<AsyncMessage, Error>>> {
    match connection.poll_message(context) {
        Poll::Pending if !is_fit(state(connection)) => {
            tracing::info!("the database server has another role than at sign-in; its connection is closed");
            Poll::Ready(None)
        }
        polled => polled,
    }
}

/// Drives a pooled connection to its end. A server that was demoted to a standby, or promoted, is left. Settings that a
/// project's code has changed for the session do not count: `default_transaction_read_only` is looked at when the session
/// is reset.
pub(crate) async fn drive(mut connection: Connection) -> Result<(), Error> {
    let is_standby = state(&connection).is_standby;
    loop {
        let fit = |server: ServerState| server.is_standby == is_standby;
        match poll_fn(|context| poll_fit(&mut connection, context, fit)).await {
            Some(message) => drop(message?),
            None => return Ok(()),
        }
    }
}
