//! The tables of the tree, as functions that take a client. Leaves deciding to `flow`.

pub(crate) mod api_key;
pub(crate) mod domain;
pub(crate) mod entitlement;
pub(crate) mod erasure;
pub(crate) mod invitation;
pub(crate) mod me;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod plan;
pub(crate) mod product;
pub(crate) mod provisioning;
pub(crate) mod quota;
pub(crate) mod role;
pub(crate) mod search;
pub(crate) mod setting;
pub(crate) mod status;
pub(crate) mod tenant;
pub(crate) mod tenant_product;
mod word;

use tokio_postgres::types::{ToSql, Type};

/// A bound value with its type.
pub(crate) type Bound<'a> = (&'a (dyn ToSql + Sync), Type);
