//! The network between one worker and the database: it can be cut, freeze, or swallow answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::act::pause;

/// Enough for every connection to notice.
const RESET: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Pass,
    /// What the worker says arrives, what the database answers does not.
    Swallow,
    /// Nothing arrives, and nobody is told.
    Freeze,
    /// Connections are reset.
    Cut,
}

pub(super) struct Link {
    folder: PathBuf,
    mode: Arc<watch::Sender<Mode>>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// From a socket in `folder`, made here, to the one in `to`.
    pub(super) fn open(folder: &Path, to: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let accepting = tokio::spawn(accept(listener, to.join(".s.PGSQL.5432"), Arc::clone(&mode)));
        Self { folder: folder.to_owned(), mode, accepting }
    }

    /// The database's URL by way of this link.
    pub(super) fn url(&self) -> String {
        let folder: String = self.folder.to_string_lossy().bytes().map(|b| format!("%{b:02X}")).collect();
        format!("postgres://rowhouse:test@{folder}:5432/postgres")
    }

    /// Changes it for a while; then connections are reset, and new ones pass.
    pub(super) fn set_for(&self, mode: Mode, time: Duration) {
        let sender = Arc::clone(&self.mode);
        sender.send_replace(mode);
        tokio::spawn(async move {
            pause(time).await;
            sender.send_replace(Mode::Cut);
            pause(RESET).await;
            sender.send_replace(Mode::Pass);
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::Cut);
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, to: PathBuf, mode: Arc<watch::Sender<Mode>>) {
    while let Ok((worker, _)) = listener.accept().await {
        tokio::spawn(join(worker, to.clone(), mode.subscribe()));
    }
}

async fn join(worker: UnixStream, to: PathBuf, mode: watch::Receiver<Mode>) {
    let Ok(database) = UnixStream::connect(to).await else { return };
    let (from_worker, to_worker) = worker.into_split();
    let (from_database, to_database) = database.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        () = pass(from_worker, to_database, mode.clone(), false) => {}
        () = pass(from_database, to_worker, mode, true) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if mode.wait_for(|mode| *mode != Mode::Freeze).await.is_err() {
            return;
        }
        if answers && *mode.borrow() == Mode::Swallow {
            continue;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// How long a link stays frozen: longer than a worker may be silent.
pub(super) const FROZEN: Duration = Duration::from_secs(11);
