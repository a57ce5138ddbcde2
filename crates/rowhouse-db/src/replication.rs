//! Physical replication (PostgreSQL's manual, "Streaming Replication Protocol"): a base backup, and the WAL as it is
//! written. Leaves storing either to its callers.
//!
//! A WAL sender takes its own commands only, and answers START_REPLICATION in a mode that tokio-postgres does not know,
//! so this speaks the protocol itself, over the sign-in and TLS of flights.

mod base;
mod command;
mod lsn;
mod refusal;
mod stream;

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rowhouse_kernel::{Secret, SharedClock};

pub use base::{Archive, BaseBackup, BasePart, Ended};
pub use lsn::{BadLsn, Lsn};
pub use refusal::is_withheld;
pub use stream::{WalMessage, WalStream};

use crate::error::DbError;
use crate::flight::{Greeted, Login, lost};
use command::{column, number};

/// Bytes for which a read has room: base backups come in messages of 32 kB.
const READ_BYTES: usize = 256 * 1024;
/// A server that does not greet within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection for physical replication.
pub struct Replication {
    greeted: Greeted,
    clock: SharedClock,
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replication").finish_non_exhaustive()
    }
}

/// Which cluster it is, and how far its WAL goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's identifier, the same in all of its copies.
    pub system_id: String,
    /// Its timeline.
    pub timeline: u32,
    /// The end of the WAL that is on its disk.
    pub flushed: Lsn,
}

/// A physical slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The oldest WAL that the server keeps for it.
    pub restart: Lsn,
    /// The timeline of that position.
    pub timeline: u32,
}

impl Replication {
    /// Signs in. The URL has to lead to the server itself.
    ///
    /// # Errors
    /// With the remedy if the login may not replicate, a pooler is in between, or the server has no place left.
    pub async fn connect(url: &Secret, clock: SharedClock) -> Result<Self, DbError> {
        let login = Login::from_url(url, Duration::ZERO)?.for_replication();
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, login.connect()).await.map_err(|_| {
            DbError::Unavailable(format!("the server does not answer within {CONNECT_TIMEOUT:?}").into())
        })?;
        match connected {
            Ok(greeted) => Ok(Self { greeted, clock }),
            Err(error) => Err(refusal::explain(error, &crate::url::login(url)?)),
        }
    }

    /// Which cluster it is.
    ///
    /// # Errors
    /// The connection's.
    pub async fn identify(&mut self) -> Result<Identity, DbError> {
        let row = self.row("IDENTIFY_SYSTEM").await.map_err(refusal::of_command)?;
        Ok(Identity {
            system_id: column(&row, 0)?.to_owned(),
            timeline: number(&row, 1)?,
            flushed: lsn(column(&row, 2)?)?,
        })
    }

    /// A setting of the server.
    ///
    /// # Errors
    /// If there is none of this name.
    pub async fn show(&mut self, setting: &str) -> Result<String, DbError> {
        let row = self.row(&format!("SHOW {setting}")).await?;
        Ok(column(&row, 0)?.to_owned())
    }

    /// A physical slot, if there is one of this name.
    ///
    /// # Errors
    /// The connection's.
    pub async fn find_slot(&mut self, name: &str) -> Result<Option<Slot>, DbError> {
        let row = self.row(&format!("READ_REPLICATION_SLOT {name}")).await?;
        match (row.first(), row.get(1)) {
            (Some(Some(_)), Some(Some(_))) => {
                Ok(Some(Slot { restart: lsn(column(&row, 1)?)?, timeline: number(&row, 2)? }))
            }
            _ => Ok(None),
        }
    }

    /// Creates a physical slot that keeps WAL from now on; false if it was there.
    ///
    /// # Errors
    /// If the server has no slot left.
    pub async fn ensure_slot(&mut self, name: &str) -> Result<bool, DbError> {
        let sql = format!("CREATE_REPLICATION_SLOT {name} PHYSICAL RESERVE_WAL");
        match self.row(&sql).await {
            Err(DbError::Refused(error)) if error.code == "42710" => Ok(false),
            Err(error) => Err(refusal::of_slot(error)),
            Ok(_) => Ok(true),
        }
    }

    /// Removes a slot, and so lets the server remove the WAL that it kept for it.
    ///
    /// # Errors
    /// If it is in use.
    pub async fn drop_slot(&mut self, name: &str) -> Result<(), DbError> {
        self.rows(&format!("DROP_REPLICATION_SLOT {name}")).await.map(drop)
    }

    /// The history file of a timeline: its name and content.
    ///
    /// # Errors
    /// If there is none: the first timeline has no history.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<(String, String), DbError> {
        let row = self.row(&format!("TIMELINE_HISTORY {timeline}")).await?;
        Ok((column(&row, 0)?.to_owned(), column(&row, 1)?.to_owned()))
    }

    /// Begins a base backup without WAL, with a manifest and estimates of sizes.
    ///
    /// # Errors
    /// If the server is older than 15, or refuses.
    pub async fn base_backup(mut self, label: &str) -> Result<BaseBackup, DbError> {
        self.require_version().await?;
        let label = label.replace('\'', "");
        self.send(&format!(
            "BASE_BACKUP (LABEL '{label}', PROGRESS true, CHECKPOINT 'fast', WAL false, WAIT false, MANIFEST 'yes', \
             MANIFEST_CHECKSUMS 'CRC32C')"
        ))
        .await?;
        BaseBackup::begin(self).await
    }

    /// Streams the WAL of `timeline` from `start`, for a slot that no other connection uses.
    ///
    /// # Errors
    /// If the slot is in use (55006), or the server no longer has that WAL.
    pub async fn stream(mut self, slot: &str, start: Lsn, timeline: u32) -> Result<WalStream, DbError> {
        self.send(&format!("START_REPLICATION SLOT {slot} PHYSICAL {start} TIMELINE {timeline}")).await?;
        WalStream::begin(self, start).await
    }

    async fn require_version(&mut self) -> Result<(), DbError> {
        let version = self.show("server_version_num").await?;
        let number: u32 = version.parse().map_err(|_| DbError::Protocol("server_version_num".into()))?;
        if number / 10_000 >= crate::embedded::MINIMUM_VERSION {
            return Ok(());
        }
        Err(DbError::Unusable(
            format!(
                "base backups need PostgreSQL {} or newer; this server is {}. Upgrade it with pg_upgrade",
                crate::embedded::MINIMUM_VERSION,
                number / 10_000
            )
            .into(),
        ))
    }

    async fn send(&mut self, command: &str) -> Result<(), DbError> {
        let mut out = BytesMut::new();
        frontend::query(command, &mut out).map_err(lost)?;
        self.greeted.stream.send(&out).await.map_err(lost)
    }
}

fn lsn(text: &str) -> Result<Lsn, DbError> {
    text.parse().map_err(|_| DbError::Protocol(format!("not a position in the WAL: {text}").into()))
}
