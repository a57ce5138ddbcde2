//! Why a server does not replicate, with the remedy; decided by SQLSTATE.

use std::error::Error;

use crate::error::{DbError, PgError};

const POOLER: &str = "the URL leads to a connection pooler, which does not replicate. Give the server's own address as \
     db.direct_url (DATABASE_DIRECT_URL)";

/// A sign-in that was refused.
pub(super) fn explain(error: DbError, login: &str) -> DbError {
    let refused = error.source().and_then(|cause| cause.downcast_ref::<PgError>());
    let Some(code) = refused.map(|refused| refused.code.as_str()) else { return error };
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
        "53300" => unusable(&error, "every WAL sender is in use; raise max_wal_senders on the server"),
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
        Some("42601") => unusable(&error, POOLER),
        _ => error,
    }
}

fn unusable(error: &DbError, remedy: &str) -> DbError {
    DbError::Unusable(format!("{error}: {remedy}").into())
}
