//! What can go wrong with a store, each with what to do about it. Leaves exit codes to the commands.

use std::path::Path;

use rowhouse_module::CannotRun;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// None of the keys at hand opens it.
    #[error(
        "{what} does not open with this key; it is wrapped for {recipients}: give the server's key or the escrow key that belongs to one of them"
    )]
    WrongKey {
        /// What was to be opened.
        what: String,
        /// The recipients that it is wrapped for.
        recipients: String,
    },
    /// The bytes are not those that were written.
    #[error("{object}{}: {why}; use another backup, and find out what changed the store", chunk.map(|number| format!(", chunk {number}")).unwrap_or_default())]
    Corrupt {
        /// Path in the store.
        object: String,
        /// Number of the chunk, from 0.
        chunk: Option<u64>,
        /// What does not fit.
        why: String,
    },
    /// There is no such thing.
    #[error("{what} is not in the store; `rowhouse backup list` prints what is")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// No position of the log has this name.
    #[error("no point {0} is in the store; `rowhouse backup list --points` prints those that are")]
    NoPoint(String),
    /// It is there already, and nothing is replaced.
    #[error("{what} exists already; choose another name")]
    Exists {
        /// What was to be made.
        what: String,
    },
    /// The store does not answer.
    #[error(
        "the store {place} cannot be reached: {why}; check backup.store, backup.endpoint and the network"
    )]
    Unreachable {
        /// Where it is.
        place: String,
        /// What happened.
        why: String,
    },
    /// The store answers, and refuses.
    #[error(
        "the store {place} refuses: {why}; check backup.access_key_id, backup.secret_access_key and the bucket's policy"
    )]
    Refused {
        /// Where it is.
        place: String,
        /// What it said.
        why: String,
    },
    /// Writing would use up the disk.
    #[error(
        "the store {place} has {free} bytes free, and {needed} are needed with the reserve of backup.min_free_bytes; free space, or run `rowhouse backup prune`"
    )]
    Full {
        /// Where it is.
        place: String,
        /// Bytes free.
        free: u64,
        /// Bytes that would have to be.
        needed: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {error}{}", io_remedy(error))]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A setting or an argument that nothing can work with.
    #[error("{0}")]
    Invalid(String),
    /// A format that a later release has written.
    #[error(
        "{what} has the format {found}, and this release reads {known}; use the release that wrote it, or a later one"
    )]
    Version {
        /// What.
        what: String,
        /// Its format.
        found: u32,
        /// The newest format that this release knows.
        known: u32,
    },
    /// The crypto library or a thread failed; nothing was written.
    #[error("internal: {0}")]
    Internal(&'static str),
}

fn io_remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "; run as the account that owns it, as `rowhouse up` and `serve` do, or give it to this account (chown)"
        }
        std::io::ErrorKind::ReadOnlyFilesystem => "; its file system is mounted read-only",
        _ => "",
    }
}

impl StoreError {
    /// Damage to an object as a whole.
    pub(crate) fn corrupt(object: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { object: object.into(), chunk: None, why: why.into() }
    }

    /// A failure of the file system.
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), error }
    }

    /// Whether the store's content is at fault rather than the way to it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::NotFound { .. } | Self::NoPoint(_))
    }
}

impl From<StoreError> for CannotRun {
    fn from(error: StoreError) -> Self {
        Self::because(error.to_string())
    }
}
