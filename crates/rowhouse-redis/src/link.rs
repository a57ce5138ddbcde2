//! Connections: to one server or to a cluster, over which any number of requests are under way at once.
//! Leaves when to connect to `rates`.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisResult, ScriptInvocation, TlsCertificates, Value,
};

use crate::address::Address;
use crate::settings::RedisSettings;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that may be queued before others wait to be.
const QUEUE: usize = 1024;
/// Attempts of a cluster's client within the time that a request waits, as when a counter has moved.
const CLUSTER_RETRIES: u32 = 2;

/// What is needed to connect.
pub(crate) struct Opener {
    target: Target,
    config: AsyncConnectionConfig,
}

enum Target {
    Server(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Opener {
    /// As configured; `None` without `redis.url`.
    pub(crate) fn new(settings: &RedisSettings) -> Option<Result<Self, String>> {
        Some(settings.addresses()?.and_then(|addresses| Self::to(settings, &addresses)))
    }

    fn to(settings: &RedisSettings, addresses: &[Address]) -> Result<Self, String> {
        let authority = settings.ca_file.as_deref().map(authority).transpose()?;
        let [first, ..] = addresses else { return Err("names no server".to_owned()) };
        let nodes = addresses.iter().map(|address| direct(&address.info));
        let target = match settings.cluster {
            true => cluster(nodes.collect(), authority, settings.timeout).map(Box::new).map(Target::Cluster),
            false => server(direct(&first.info), authority).map(Box::new).map(Target::Server),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE);
        Ok(Self { target: target.map_err(|error| error.to_string())?, config })
    }

    pub(crate) async fn open(&self) -> RedisResult<Connection> {
        Ok(match &self.target {
            Target::Server(client) => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(&self.config).await?)
            }
            Target::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl Connection {
    pub(crate) async fn invoke(&mut self, call: &ScriptInvocation<'_>) -> RedisResult<Vec<u64>> {
        match self {
            Self::Server(connection) => call.invoke_async(connection).await,
            Self::Cluster(connection) => call.invoke_async(connection).await,
        }
    }

    pub(crate) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

fn server(node: ConnectionInfo, authority: Option<Vec<u8>>) -> RedisResult<Client> {
    match authority {
        Some(authority) => Client::build_with_tls(node, trusting(authority)),
        None => Client::open(node),
    }
}

fn cluster(
    nodes: Vec<ConnectionInfo>,
    authority: Option<Vec<u8>>,
    timeout: Duration,
) -> RedisResult<ClusterClient> {
    let builder = ClusterClient::builder(nodes)
        .retries(CLUSTER_RETRIES)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(timeout)
        .tcp_settings(without_delay());
    match authority {
        Some(authority) => builder.certs(trusting(authority)).build(),
        None => builder.build(),
    }
}

/// Nagle's algorithm would hold a request back until the one before it is answered.
fn without_delay() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn direct(info: &ConnectionInfo) -> ConnectionInfo {
    info.clone().set_tcp_settings(without_delay())
}

fn trusting(authority: Vec<u8>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: Some(authority) }
}

/// The certificates of `redis.ca_file`.
pub(crate) fn authority(path: &str) -> Result<Vec<u8>, String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    match String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(format!("{path} holds no certificate in the form PEM")),
    }
}
