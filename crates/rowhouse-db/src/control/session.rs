//! The settings of a control-plane session, and resetting it to them before its connection is reused.
//!
//! Some transactions run a project's code: triggers on users, tables that refer to them, functions called as jobs. Such
//! code can leave any kind of session state; a `search_path` that stays would make the program's own statements call the
//! project's functions and operators. Finding out whether it has left any is not cheap, so every session is reset, in the
//! message that commits.

use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt;
use postgres_protocol::escape::escape_literal;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::session::{SET_SEARCH_PATH, SET_STANDARD_STRINGS};
use crate::settings::DbSettings;

/// Resets everything but settings. The last column tells whether the session cannot be used again: SQL has prepared
/// statements, which can replace the client's own, or the server takes no writes any more, and another may be the primary.
const RESET: &str = "unlisten *; close all; discard sequences; discard temp; \
    select pg_catalog.pg_advisory_unlock_all(), \
      pg_catalog.pg_is_in_recovery() or pg_catalog.current_setting('default_transaction_read_only') = 'on' \
      or exists (select from pg_catalog.pg_prepared_statement() as s where s.from_sql)";

/// Resets sessions of one pool. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct SessionReset {
    settings: Arc<str>,
    sql: Arc<str>,
}

/// The outcome of a statement and of the reset behind it.
pub(super) struct Ended {
    /// The statement's error.
    pub(super) failed: Option<Error>,
    /// Whether the session has been reset.
    pub(super) is_reset: bool,
}

impl SessionReset {
    pub(super) fn new(name: &str, settings: &DbSettings) -> Self {
        let limits = [
            ("statement_timeout", settings.control_statement_timeout),
            ("lock_timeout", settings.control_lock_timeout),
            ("idle_in_transaction_session_timeout", settings.control_idle_in_transaction_timeout),
        ];
        let limits = limits.map(|(name, limit)| format!("set {name} = {};", limit.as_millis())).concat();
        // Behind a pooler the session is another client's, so `reset` may restore that client's name and encoding.
        let settings = format!(
            "{SET_SEARCH_PATH}; {SET_STANDARD_STRINGS}; set client_encoding = 'UTF8'; set application_name = {}; {limits}",
            escape_literal(name)
        );
        let sql = format!("reset role; reset all; {settings} {RESET}");
        Self { settings: settings.into(), sql: sql.into() }
    }

    /// The statements that set up a new session.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    /// Runs `statement` (one with its semicolon, or none) and resets the session in the same message.
    pub(super) async fn run(&self, client: &Client, statement: &str) -> Ended {
        let mut is_reset = false;
        let mut has_ended = statement.is_empty();
        let failed = self.read(client, statement, &mut has_ended, &mut is_reset).await.err();
        Ended { is_reset: is_reset && failed.is_none(), failed: failed.filter(|_| !has_ended) }
    }

    async fn read(
        &self,
        client: &Client,
        statement: &str,
        has_ended: &mut bool,
        is_reset: &mut bool,
    ) -> Result<(), Error> {
        let sql = format!("{statement} {}", self.sql);
        let mut messages = pin!(client.simple_query_raw(&sql).await?);
        while let Some(message) = messages.try_next().await? {
            match message {
                SimpleQueryMessage::CommandComplete(_) => *has_ended = true,
                SimpleQueryMessage::Row(row) => *is_reset = row.get(1) == Some("f"),
                _ => {}
            }
        }
        Ok(())
    }
}
