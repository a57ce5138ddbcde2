//! Listeners beside the API's. They are bound before anything else starts, so that a port in use ends the start at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::CannotRun;

/// What the process is started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `up`, with the API on this port.
    Development {
        /// The API's port.
        api_port: u16,
    },
    /// `serve`.
    Serve,
}

/// A listener that a module needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The name under which the module finds it again.
    pub name: &'static str,
    /// Address and port.
    pub address: String,
    /// What to change when the port is in use: settings or options.
    pub remedy: &'static str,
}

type Serve =
    Arc<dyn Fn(TcpListener, watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The service of a listener.
#[derive(Clone)]
pub enum ListenerService {
    /// HTTP without the API's layers.
    Http(Router),
    /// Another protocol, which finishes its connections once the receiver becomes true.
    Protocol(Serve),
}

/// Bound listeners by name.
#[derive(Debug, Default)]
pub struct BoundListeners(BTreeMap<&'static str, TcpListener>);

impl BoundListeners {
    /// Binds every listener.
    ///
    /// # Errors
    /// The port that is in use, and the remedy.
    pub async fn bind(specs: Vec<ListenerSpec>) -> Result<Self, CannotRun> {
        let mut bound = BTreeMap::new();
        for spec in specs {
            bound.insert(spec.name, bind(&spec).await?);
        }
        Ok(Self(bound))
    }

    /// The addresses by name.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.0.iter().filter_map(|(name, listener)| Some((*name, listener.local_addr().ok()?))).collect()
    }

    /// Takes one out.
    pub fn take(&mut self, name: &str) -> Option<TcpListener> {
        self.0.remove(name)
    }
}

async fn bind(spec: &ListenerSpec) -> Result<TcpListener, CannotRun> {
    let ListenerSpec { name, address, remedy } = spec;
    TcpListener::bind(address).await.map_err(|error| {
        CannotRun::because(match error.kind() {
            std::io::ErrorKind::AddrInUse => format!("{address}, for {name}, is taken; {remedy}"),
            _ => format!("cannot listen on {address} for {name}: {error}"),
        })
    })
}
