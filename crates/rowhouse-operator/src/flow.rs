//! What is decided about users, impersonations and bulk jobs. Leaves HTTP to `route`, and the command line to `command`.

pub(crate) mod account;
pub(crate) mod bulk;
pub(crate) mod impersonation;
pub(crate) mod reason;

use rowhouse_kernel::{Operation, Origin};

/// An operation of an operator: what they do concerns its subject's organizations, never the tenant of their own token.
pub(crate) fn operation(origin: &Origin, name: &'static str) -> Operation {
    origin.operation(name).in_tenant(None)
}
