//! Session state that earlier callers may have left, and the statements that remove it.
//!
//! Any project function can leave a setting, a cursor WITH HOLD, a temporary table, a prepared statement, an advisory
//! lock or a LISTEN in the session, and there is no cheap test for it. So a session is cleared whenever its caller
//! changes: by a transaction of its own in front of the flight, in the same send and under the same Sync. If clearing
//! fails, PostgreSQL skips the flight. What is removed is listed in `rowhouse.clear_session`.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_kernel::Caller;

use super::Query;
use super::pipeline::Statement;

/// The caller that a session has served.
#[derive(Debug)]
enum Served {
    /// Nobody yet.
    Nobody,
    /// One signed-in user only since it was cleared.
    User(Box<Caller>),
    /// Unknown: `anon` and `service_role` stand for many clients, and a failed flight may have left any state.
    Others,
}

/// The statements that clear a session, as the login.
#[derive(Debug)]
pub(super) struct Clear {
    role: Arc<str>,
    queries: [Query; 3],
}

impl Clear {
    pub(super) fn statements(&self) -> [Statement<'_>; 3] {
        self.queries.each_ref().map(|query| Statement { role: &self.role, query })
    }
}

/// The state of one database session.
#[derive(Debug)]
pub(super) struct SessionState {
    served: Served,
    clear: Arc<Clear>,
    /// The version of the schema under which its statements were prepared.
    pub(super) schema_version: u64,
}

impl SessionState {
    pub(super) fn new(statement_timeout: Duration, schema_version: u64) -> Self {
        let timeout = statement_timeout.as_millis().to_string();
        let query = |sql: &str, params| Query { sql: sql.into(), params };
        // `begin` names everything that a setting could have changed; `commit` ends the transaction without a Sync.
        let queries = [
            query("begin isolation level read committed read write not deferrable", Vec::new()),
            query("select rowhouse.clear_session($1)", vec![Some(timeout.into())]),
            query("commit", Vec::new()),
        ];
        let clear = Arc::new(Clear { role: "".into(), queries });
        Self { served: Served::Nobody, clear, schema_version }
    }

    /// The statements to run before `caller` is served.
    pub(super) fn clearing(&self, caller: Option<&Caller>) -> Option<Arc<Clear>> {
        match &self.served {
            Served::Nobody => None,
            Served::User(before) if Some(&**before) == caller => None,
            Served::User(_) | Served::Others => Some(Arc::clone(&self.clear)),
        }
    }

    /// Records that a flight of `caller` has been written.
    pub(super) fn serve(&mut self, caller: Option<&Caller>) {
        let Some(caller) = caller else { return };
        match &self.served {
            Served::User(before) if **before == *caller => {}
            _ if caller.user.is_none() || caller.is_service() => self.served = Served::Others,
            _ => self.served = Served::User(Box::new(caller.clone())),
        }
    }

    /// Records that the session's state is unknown.
    pub(super) fn distrust(&mut self) {
        self.served = Served::Others;
    }
}

#[cfg(test)]
mod tests;
