//! Whether a request asks, or the process of its own accord, which sets sessions up, resets them, records itself, reloads and
//! measures. Requests to `/auth/v1` are known by their operation, which is named with BEGIN, and outside of transactions by
//! the tables and functions of `auth`. Preparing such a statement is not counted: whether a request has to do so depends on
//! the connection that the pool gives it.

use std::collections::BTreeMap;

use super::frame::frames;
use super::plan::holds;

const OPERATION: &[u8] = b"'rowhouse.operation', 'auth.";
/// What a process asks twice a second for changed keys.
const KEYS: &[u8] = b"from auth.key_version";

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Asker {
    is_in_transaction: bool,
    /// Names of the statements that requests have prepared.
    prepared: BTreeMap<Vec<u8>, bool>,
}

impl Asker {
    /// Whether a request has sent this message.
    pub(super) fn is_request(&mut self, message: &[u8]) -> bool {
        let is_own =
            frames(message).fold(false, |is_own, (kind, content)| self.frame(kind, content) || is_own);
        is_own || self.is_in_transaction
    }

    /// The server has said that no transaction is open.
    pub(super) fn end_transaction(&mut self) {
        self.is_in_transaction = false;
    }

    fn frame(&mut self, kind: u8, content: &[u8]) -> bool {
        match kind {
            b'Q' => {
                let begins = content.starts_with(b"begin; select") && holds(content, OPERATION);
                self.is_in_transaction |= begins;
                begins || !content.starts_with(b"begin;") && is_of_auth(content)
            }
            b'P' => {
                let (name, sql) = split(content);
                self.prepared.insert(name.to_vec(), is_of_auth(sql));
                false
            }
            // The portal's name comes first.
            b'B' => self.prepared.get(split(split(content).1).0).copied().unwrap_or(false),
            _ => false,
        }
    }
}

fn is_of_auth(sql: &[u8]) -> bool {
    holds(sql, b"auth.") && !holds(sql, KEYS)
}

/// Up to the first zero byte, and behind it.
fn split(content: &[u8]) -> (&[u8], &[u8]) {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    (&content[..end], content.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, content: &str) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, content.as_bytes()].concat()
    }

    fn begin(operation: &str) -> Vec<u8> {
        frame(
            b'Q',
            &format!("begin; select pg_catalog.set_config('rowhouse.operation', '{operation}', true)\0"),
        )
    }

    #[test]
    fn transaction_is_a_requests_from_begin_to_its_end() {
        let mut asker = Asker::default();
        let insert = frame(b'P', "\0insert into jobs.ready\0\0\0");
        assert!(!asker.is_request(&insert));
        assert!(asker.is_request(&begin("auth.sign_up")));
        assert!(asker.is_request(&insert));
        asker.end_transaction();
        assert!(!asker.is_request(&insert));
        assert!(!asker.is_request(&begin("audit.seal")));
        assert!(!asker.is_request(&frame(b'P', "\0select audit.seal()\0\0\0")));
    }

    #[test]
    fn prepared_statement_is_known_by_its_name() {
        let mut asker = Asker::default();
        let prepare = |name: &str, sql: &str| frame(b'P', &format!("{name}\0{sql}\0\0\0"));
        let sync = frame(b'S', "");
        assert!(!asker.is_request(&[prepare("s0", "update auth.sessions set"), sync.clone()].concat()));
        assert!(!asker.is_request(&prepare("s1", "select version from auth.key_version")));
        assert!(!asker.is_request(&prepare("s2", "update rowhouse.processes set seen_at")));
        let run = |name: &str| [frame(b'B', &format!("\0{name}\0\0\0")), sync.clone()].concat();
        assert!(asker.is_request(&run("s0")));
        assert!(!asker.is_request(&run("s1")));
        assert!(!asker.is_request(&run("s2")));
        assert!(asker.is_request(&[prepare("", "select auth.uid()"), run("")].concat()));
    }
}
