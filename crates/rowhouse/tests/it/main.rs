//! The whole product through its front door.

mod auth;
mod server;
mod support;
