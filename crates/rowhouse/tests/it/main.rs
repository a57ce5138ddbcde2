//! The whole product through its front door.

mod auth;
mod fault;
mod server;
mod support;
