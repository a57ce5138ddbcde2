//! Why a server does not replicate, with the remedy; decided by SQLSTATE.

use std::error::Error;

use crate::error::{DbError, PgError, Reason};

const POOLER: &str = "the URL leads to a connection pooler, which does not replicate. Give the server's own address as \
     db.direct_url (DATABASE_DIRECT_URL)";

const WAL_LEVEL: &str = "the server writes no write-ahead log for backups: set wal_level to replica and max_wal_senders to 10, and restart it";

/// A sign-in that was refused.
pub(super) fn explain(error: DbError, login: &str) -> DbError {
    let Some(code) = refused(&error).map(|refused| refused.code.as_str()) else { return error };
    match code {
        "42501" => unusable(
            &error,
            &format!(
                "the login \"{login}\" may not read the cluster's files. Run as a superuser: alter role \"{login}\" \
                 replication. A managed server does not allow that: use the provider's backups, or pg_dump"
            ),
        ),
        "28000" => unusable(
            &error,
            &format!(
                "the server does not accept replication from here. Add a line to pg_hba.conf: \
                 host replication {login} ADDRESS scram-sha-256, then reload"
            ),
        ),
        "53300" => unusable(
            &error,
            &format!(
                "every WAL sender is in use; raise max_wal_senders on the server. If it is 0, {WAL_LEVEL}"
            ),
        ),
        // PgBouncer's answer to the parameter `replication`, and servers' that have lost it to a pooler.
        "08P01" => unusable(&error, POOLER),
        _ => error,
    }
}

/// A slot that could not be created.
pub(super) fn of_slot(error: DbError) -> DbError {
    match error.code() {
        Some("53400" | "53000") => {
            unusable(&error, "every replication slot is in use; raise max_replication_slots on the server")
        }
        Some("55000") => unusable(&error, WAL_LEVEL),
        Some("42601") => unusable(&error, POOLER),
        _ => error,
    }
}

/// An answer to a command of replication: a pooler that leaves out the parameter `replication` has opened an ordinary session.
pub(super) fn of_command(error: DbError) -> DbError {
    match error.code() {
        Some("42601") => unusable(&error, POOLER),
        _ => error,
    }
}

/// Whether the server does not let the login replicate, rather than not at the moment.
#[must_use]
pub fn is_withheld(error: &DbError) -> bool {
    matches!(refused(error), Some(refused) if matches!(refused.code.as_str(), "42501" | "28000"))
}

fn refused(error: &DbError) -> Option<&PgError> {
    error.source()?.downcast_ref()
}

fn unusable(error: &DbError, remedy: &str) -> DbError {
    let text = format!("{error}: {remedy}");
    DbError::Unusable(match refused(error) {
        Some(cause) => Reason::caused_by(text, cause.clone()),
        None => text.into(),
    })
}
