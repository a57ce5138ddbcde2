//! Counts round trips: a proxy in front of the tests' server that counts how often a client speaks after the server did. At
//! a given one it breaks the connection or kills the client's process, as a crash would.

mod asker;
mod frame;
mod plan;
mod question;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::Cluster;
use asker::Asker;
use plan::{Plan, Trips};
use question::{IDLE, Questions};

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The server never hears what the client says.
    BeforeServer,
    /// The server does it to the end, and the client hears nothing of it.
    BeforeClient,
}

impl Break {
    /// Both.
    pub const ALL: [Self; 2] = [Self::BeforeServer, Self::BeforeClient];
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
        Self::start_with(false).await
    }

    /// Starts one that counts what requests to `/auth/v1` ask, and leaves out what a process does of its own accord.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn of_requests() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(of_requests: bool) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("the cluster");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let trips = Arc::new(Trips::new(of_requests));
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
        self.trips.count()
    }

    /// Breaks the connection that makes the `ahead`th round trip from here on, counted from 1.
    pub fn break_at(&self, ahead: u64, how: Break) {
        self.plan(Plan { trip: self.count() + ahead, text: None, how, victim: None });
    }

    /// The same by killing a process (SIGKILL), the client's.
    pub fn kill_at(&self, ahead: u64, how: Break, pid: i32) {
        self.plan(Plan { trip: self.count() + ahead, text: None, how, victim: Some(pid) });
    }

    /// Breaks the connection that makes the `ahead`th round trip after the server has said `text`; 0: the one on which it is
    /// about to be said, before the client hears it.
    pub fn break_after(&self, text: &'static str, ahead: u64, how: Break) {
        self.plan(Plan { trip: ahead, text: Some(text), how, victim: None });
    }

    /// Whether what was planned has not happened yet.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.trips.planned().is_some()
    }

    /// Breaks no further connection: what was planned may lie ahead still.
    pub fn break_none(&self) {
        *self.trips.planned() = None;
    }

    fn plan(&self, plan: Plan) {
        *self.trips.planned() = Some(plan);
    }
}

/// Messages that are sent without waiting belong to one round trip, in however many packets they come.
async fn forward(mut client: TcpStream, mut server: UnixStream, trips: Arc<Trips>) -> std::io::Result<()> {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut has_answered, mut plan, mut questions) = (true, None::<Plan>, Questions::default());
    let mut asker = Asker::default();
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                size => {
                    let is_of_request = questions.has_signed_in() && asker.is_request(&from_client[..size]);
                    if std::mem::replace(&mut has_answered, false) {
                        plan = trips.next(is_of_request);
                    }
                    if let Some(plan) = plan.filter(|plan| plan.how == Break::BeforeServer) {
                        plan.strike();
                        return Ok(());
                    }
                    questions.ask(&from_client[..size]);
                    server.write_all(&from_client[..size]).await?;
                }
            },
            read = server.read(&mut from_server) => match (read?, plan) {
                (0, _) => return Ok(()),
                (size, None) => {
                    if let Some(plan) = trips.hear(&from_server[..size]) {
                        plan.strike();
                        return Ok(());
                    }
                    has_answered = true;
                    if from_server[..size].ends_with(IDLE) {
                        asker.end_transaction();
                    }
                    questions.answer(&from_server[..size]);
                    client.write_all(&from_server[..size]).await?;
                }
                (size, Some(plan)) if questions.answer(&from_server[..size]) => {
                    plan.strike();
                    return Ok(());
                }
                // The rest of the answer is still to come.
                _ => {}
            },
        }
    }
}
