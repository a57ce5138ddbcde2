//! A connection's cache of prepared statements, keyed by role and text.
//!
//! The role is part of the key because PostgreSQL plans a statement again each time the role under it changes;
//! the number is bounded because each costs the backend some 32 KB.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;

/// The longest text that is kept, in bytes. Longer ones vary with clients' lists of conditions and cost megabytes on
/// both sides; they are parsed each time as the unnamed statement.
const MAX_TEXT: usize = 32 * 1024;

/// A statement answered within this time is quick: others may be pipelined behind it.
const QUICK: Duration = Duration::from_millis(10);

/// A statement's text and the role under which it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    role: Arc<str>,
    sql: Arc<str>,
}

impl Key {
    pub(crate) fn of(role: &Arc<str>, sql: &Arc<str>) -> Self {
        Self { role: Arc::clone(role), sql: Arc::clone(sql) }
    }
}

/// The prepared statements of one connection.
#[derive(Debug)]
pub(crate) struct StatementCache {
    names: LruCache<Key, Known>,
    next: u64,
}

#[derive(Debug)]
struct Known {
    id: u64,
    /// Whether its last run was quick.
    is_quick: bool,
}

/// A prepared statement and what binding it requires.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) name: String,
    /// It has to be parsed in this flight.
    pub(crate) is_new: bool,
    /// The statement evicted for it, to be closed at the flight's start.
    pub(crate) evicted: Option<String>,
}

impl StatementCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { names: LruCache::new(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)), next: 0 }
    }

    pub(crate) fn prepare(&mut self, role: &Arc<str>, sql: &Arc<str>) -> Prepared {
        if sql.len() > MAX_TEXT {
            return Prepared { name: String::new(), is_new: true, evicted: None };
        }
        let key = Key::of(role, sql);
        if let Some(known) = self.names.get(&key) {
            return Prepared { name: name(known.id), is_new: false, evicted: None };
        }
        self.next += 1;
        let evicted =
            self.names.push(key, Known { id: self.next, is_quick: false }).map(|(_, known)| name(known.id));
        Prepared { name: name(self.next), is_new: true, evicted }
    }

    /// Records how long a statement took.
    pub(crate) fn took(&mut self, key: &Key, time: Duration) {
        if let Some(known) = self.names.peek_mut(key) {
            known.is_quick = time < QUICK;
        }
    }

    /// Whether its last run was quick; false if unknown.
    pub(crate) fn is_quick(&self, key: &Key) -> bool {
        self.names.peek(key).is_some_and(|known| known.is_quick)
    }

    /// Removes a statement whose Parse failed.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.names.pop(key);
    }

    /// Removes all; the caller also deallocates them on the server.
    pub(crate) fn clear(&mut self) {
        self.names.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

fn name(id: u64) -> String {
    format!("s{id}")
}

#[cfg(test)]
mod tests;
