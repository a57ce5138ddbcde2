//! The authorization server's values: applications, scopes, requests, replies, claims. No I/O; flows use them.

pub(crate) mod client;
pub(crate) mod id_token;
pub(crate) mod known;
pub(crate) mod metadata;
pub(crate) mod parameter;
pub(crate) mod profile;
pub(crate) mod reply;
pub(crate) mod request;

use uuid::Uuid;

use crate::oauth_scope::Scopes;

/// What a user has allowed an application: kept with its session, told by its tokens.
#[derive(Debug, Clone)]
pub(crate) struct Delegation {
    /// The application.
    pub(crate) client: Uuid,
    pub(crate) scopes: Scopes,
}
