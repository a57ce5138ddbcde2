//! Routes of jobs.

pub(crate) mod admin;
