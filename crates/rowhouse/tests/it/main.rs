//! The whole product over its public interfaces.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod alert;
mod api_key;
mod audit;
mod auth;
mod backup;
mod bad_input;
mod beyond;
mod cli;
mod config;
mod connection;
mod convention;
mod crash;
mod crowd;
mod description;
mod domain;
mod dummy_module;
mod explain;
mod fault;
mod flag;
mod follow;
mod hostile;
mod idempotency;
mod invitation;
mod isolation;
mod jobs;
mod join;
mod killed;
mod leftover;
mod limit;
mod mail;
mod manners;
mod matrix;
mod operated;
mod operator;
mod operator_grant;
mod platform;
mod pooler;
mod privacy;
mod production;
mod program;
mod provision;
mod redis;
mod rest;
mod rest_setting;
mod restored;
mod rls;
mod room;
mod server;
mod stream;
mod support;
mod task_fault;
mod tenancy;
mod tenant_admin;
mod user_sync;
