//! An invitation as the holder of its token finds it, and the user who accepts it.

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Invitation, invitation_columns};

/// What the token of a letter leads to.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) invitation: Invitation,
    pub(crate) organization: OrganizationId,
    pub(crate) organization_name: String,
    /// Whether the organization is open.
    pub(crate) is_open: bool,
    /// Whether who invited may still do so.
    pub(crate) inviter_may: bool,
    /// The name in the profile of who invited.
    pub(crate) inviter_name: Option<String>,
}

/// The invitation whose newest letter has the token of this digest.
pub(crate) async fn find_held(client: &Client, digest: &str) -> Result<Option<Held>, DbError> {
    let sql = invitation_columns!(
        "select o.id as organization_id, o.name as organization_name, o.is_open, tenancy.inviter_may(i) as inviter_may,
           p.full_name as inviter_name,",
        "from tenancy.invitations i
         join tenancy.organizations o on o.id = i.organization_id
         left join tenancy.user_profiles p
           on p.user_id = case when i.invited_by ~ '^[0-9a-f-]{36}$' then i.invited_by::uuid end
         where i.token_digest = $1"
    );
    let Some(row) = client.query_typed_opt(sql, &[(&digest, Type::TEXT)]).await? else { return Ok(None) };
    Ok(Some(Held {
        invitation: Invitation::from_row(&row)?,
        organization: OrganizationId(row.try_get("organization_id")?),
        organization_name: row.try_get("organization_name")?,
        is_open: row.try_get("is_open")?,
        inviter_may: row.try_get("inviter_may")?,
        inviter_name: row.try_get("inviter_name")?,
    }))
}

/// A user, as far as it matters for who accepts and who invites.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// In lower case; empty without one.
    pub(crate) email: String,
    pub(crate) is_confirmed: bool,
    pub(crate) full_name: Option<String>,
}

/// A user who was not deleted.
pub(crate) async fn find_user(client: &Client, user: Uuid) -> Result<Option<User>, DbError> {
    let sql = "select coalesce(lower(u.email), '') as email, u.email_confirmed_at is not null as is_confirmed, p.full_name
               from auth.users u left join tenancy.user_profiles p on p.user_id = u.id
               where u.id = $1 and u.deleted_at is null";
    let Some(row) = client.query_typed_opt(sql, &[(&user, Type::UUID)]).await? else { return Ok(None) };
    Ok(Some(User {
        email: row.try_get("email")?,
        is_confirmed: row.try_get("is_confirmed")?,
        full_name: row.try_get("full_name")?,
    }))
}
