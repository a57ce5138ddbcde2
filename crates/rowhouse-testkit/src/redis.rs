//! A Redis of a test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{LIMIT, in_time, until};

/// The default account's password.
const PASSWORD: &str = "test-redis";

/// A running server on a port of its own; ends with the value.
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    port: u16,
    options: Vec<String>,
    folder: tempfile::TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Panics
    /// If it does not start: Redis has to be installed.
    pub async fn start() -> Self {
        Self::start_with(|_| Vec::new()).await
    }

    /// Starts one with more options, made when its folder exists. It listens without TLS, too.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_with(options: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (options, port) = (options(folder.path()), free_port());
        let process = spawn(folder.path(), port, &options);
        let server = Self { process, port, options, folder };
        server.listens().await;
        server
    }

    /// Starts the only node of a cluster.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_cluster() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()];
        let server = Self::start_with(|_| options.map(str::to_owned).to_vec()).await;
        assert_eq!(server.ask("CLUSTER ADDSLOTSRANGE 0 16383").await, "+OK");
        let works = async || server.ask("SET probe 1 PX 1").await == "+OK";
        until("the cluster has all slots", LIMIT, works).await;
        server
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    /// Sends one command without spaces in its arguments; the first line of the answer.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn ask(&self, command: &str) -> String {
        let asking = async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
            let mut stream = BufReader::new(stream);
            let text = format!("AUTH {PASSWORD}\r\n{command}\r\n");
            stream.write_all(text.as_bytes()).await.expect("a command");
            let (mut signed_in, mut answer) = (String::new(), String::new());
            stream.read_line(&mut signed_in).await.expect("an answer");
            stream.read_line(&mut answer).await.expect("an answer");
            answer.trim_end().to_owned()
        };
        in_time(command, asking).await
    }

    /// Kills it.
    pub fn stop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }

    /// Starts it on the same port, with nothing in it.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_again(&mut self) {
        self.process = spawn(self.folder.path(), self.port, &self.options);
        self.listens().await;
    }

    /// Lets it answer nothing while connections stay.
    ///
    /// # Panics
    /// If it has ended.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it has ended.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("a running server");
    }

    async fn listens(&self) {
        let listens = async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        until("Redis listens", LIMIT, listens).await;
    }
}

fn spawn(folder: &Path, port: u16, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--requirepass", PASSWORD]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder).args(options);
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    process.expect("Redis is installed")
}

/// A port that nothing listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}
