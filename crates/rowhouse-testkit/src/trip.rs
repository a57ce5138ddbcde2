//! Counts round trips: a proxy in front of the tests' server that counts how often a client speaks after the server did.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::Cluster;

/// A running proxy; ends with the test.
#[derive(Debug)]
pub struct TripCounter {
    cluster: &'static Cluster,
    address: SocketAddr,
    trips: Arc<AtomicU64>,
}

impl TripCounter {
    /// Starts one in front of the shared cluster.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("the cluster");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let trips = Arc::new(AtomicU64::new(0));
        let (counted, socket) = (Arc::clone(&trips), cluster.folder().join(".s.PGSQL.5432"));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server");
                tokio::spawn(forward(client, server, Arc::clone(&counted)));
            }
        });
        Self { cluster, address, trips }
    }

    /// The URL that leads through the proxy.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let direct = self.cluster.url(user, database);
        let (login, _) = direct.split_once('@').expect("a login");
        format!("{login}@{}/{database}", self.address)
    }

    /// Round trips so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.trips.load(Ordering::SeqCst)
    }
}

/// Messages that are sent without waiting belong to one round trip, in however many packets they come.
async fn forward(
    mut client: TcpStream,
    mut server: UnixStream,
    trips: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let mut has_answered = true;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                size => {
                    if std::mem::replace(&mut has_answered, false) {
                        trips.fetch_add(1, Ordering::SeqCst);
                    }
                    server.write_all(&from_client[..size]).await?;
                }
            },
            read = server.read(&mut from_server) => match read? {
                0 => return Ok(()),
                size => {
                    has_answered = true;
                    client.write_all(&from_server[..size]).await?;
                }
            },
        }
    }
}
