//! Counts round trips: a proxy in front of the tests' server that counts how often a client speaks after the server did. It
//! also breaks a connection at a given one, as a crash of either side would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::Cluster;

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The server never hears what the client says.
    BeforeServer,
    /// The server does it, and the client never hears of it.
    BeforeClient,
}

/// The round trips, and the one at which a connection breaks.
#[derive(Debug, Default)]
struct Trips {
    count: AtomicU64,
    at: Mutex<Option<(u64, Break)>>,
}

impl Trips {
    /// Counts one; whether it is the one that breaks.
    fn next(&self) -> Option<Break> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.take_if(|(planned, _)| *planned == number).map(|(_, how)| how)
    }
}

/// A running proxy; ends with the test.
#[derive(Debug)]
pub struct TripCounter {
    cluster: &'static Cluster,
    address: SocketAddr,
    trips: Arc<Trips>,
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
        let trips = Arc::new(Trips::default());
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
        self.trips.count.load(Ordering::SeqCst)
    }

    /// Breaks the connection that makes the `ahead`th round trip from here on, counted from 1.
    pub fn break_at(&self, ahead: u64, how: Break) {
        let mut at = self.trips.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some((self.count() + ahead, how));
    }

    /// Breaks no further connection: what was planned may lie ahead still.
    pub fn break_none(&self) {
        *self.trips.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Messages that are sent without waiting belong to one round trip, in however many packets they come.
async fn forward(mut client: TcpStream, mut server: UnixStream, trips: Arc<Trips>) -> std::io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut has_answered, mut breaks) = (true, None);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                size => {
                    if std::mem::replace(&mut has_answered, false) {
                        breaks = trips.next();
                    }
                    if breaks == Some(Break::BeforeServer) {
                        return Ok(());
                    }
                    server.write_all(&from_client[..size]).await?;
                }
            },
            read = server.read(&mut from_server) => match read? {
                0 => return Ok(()),
                _ if breaks == Some(Break::BeforeClient) => return Ok(()),
                size => {
                    has_answered = true;
                    client.write_all(&from_server[..size]).await?;
                }
            },
        }
    }
}
