//! Jobs against a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod bad;
mod behind;
mod bounds;
mod chaos;
mod confined;
mod declared;
mod enqueue;
mod family;
mod hostile;
mod http;
mod key;
mod manual;
mod room;
mod said;
mod schedule;
mod sql;
mod support;
mod worker;
