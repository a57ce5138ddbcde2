//! Becoming a member by oneself: what an invitation and a verified domain have in common, and joining by the latter.

use rowhouse_kernel::{Caller, OrganizationId};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::record::{Change, record};
use crate::error::TenancyError;
use crate::store::domain::{self, Joinable};
use crate::store::member::{self, Group, Member};
use crate::store::organization;

/// Makes a user a member, unless he is one: then he keeps his role, and a suspension stays.
pub(crate) async fn ensure_member(
    tx: &Client,
    group: Group,
    user: Uuid,
    role: &str,
    how: &Value,
) -> Result<Member, TenancyError> {
    if let Some(member) = member::find(tx, group, user).await? {
        return Ok(member);
    }
    member::add(tx, group, user, role).await?;
    let mut details = how.clone();
    details["role"] = json!(role);
    let change = Change { action: "member_added", target: ("user", &user.to_string()), group, details };
    record(tx, change).await?;
    member::find(tx, group, user).await?.ok_or(TenancyError::NotAMember)
}

/// Organizations that the caller can join; none without a user.
pub(crate) async fn list(client: &Client, caller: &Caller) -> Result<Vec<Joinable>, TenancyError> {
    match caller.user {
        Some(user) => Ok(domain::list_joinable(client, user.0).await?),
        None => Ok(Vec::new()),
    }
}

/// Makes the caller a member of an organization that has verified the domain of his address and lets people join. One
/// that does not exist is answered like one that cannot be joined.
pub(crate) async fn join(tx: &Client, caller: &Caller, id: OrganizationId) -> Result<Joinable, TenancyError> {
    let user = caller.user.ok_or(TenancyError::NotJoinable)?.0;
    require_oneself(caller)?;
    organization::lock(tx, id).await?;
    let joinable = domain::find_joinable(tx, user, id).await?.ok_or(TenancyError::NotJoinable)?;
    let how = json!({ "domain": joinable.domain });
    ensure_member(tx, Group::organization(id), user, &joinable.role, &how).await?;
    Ok(joinable)
}

/// A membership outlives an operator's acting as the user, who decides about it alone.
pub(crate) fn require_oneself(caller: &Caller) -> Result<(), TenancyError> {
    match caller.impersonation() {
        Some(_) => Err(TenancyError::Impersonated),
        None => Ok(()),
    }
}
