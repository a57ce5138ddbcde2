//! The database room against a real server.

mod flight;
mod migrate;
mod protect;
mod support;
