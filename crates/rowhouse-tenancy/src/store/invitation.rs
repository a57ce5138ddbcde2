//! `tenancy.invitations`. Who may do what is left to `flow`.

mod change;
mod held;

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::product::ProductRole;

pub(crate) use change::{NewInvitation, Token, accept, create, end_expired, renew, revoke};
pub(crate) use held::{Held, find_held, find_user};

/// A tenant to which an invitation leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantOffer {
    pub(crate) tenant_id: Uuid,
    /// The role there: `owner`, `admin`, `manager`, `member`, or one of the organization's own.
    pub(crate) role: String,
}

/// A product that an invitation gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductOffer {
    /// One of the tenants of the invitation.
    pub(crate) tenant_id: Uuid,
    /// The product's slug.
    pub(crate) product: String,
    pub(crate) role: ProductRole,
}

/// What has become of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InvitationStatus {
    /// It can be accepted.
    Pending,
    Accepted,
    /// It was taken back.
    Revoked,
    Expired,
}

impl InvitationStatus {
    const ALL: [Self; 4] = [Self::Pending, Self::Accepted, Self::Revoked, Self::Expired];

    /// As `tenancy.status_of` has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    fn read(name: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.name() == name).unwrap_or(Self::Revoked)
    }
}

/// An invitation, as those who invite see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Invitation {
    pub(crate) id: Uuid,
    /// In lower case.
    pub(crate) email: String,
    /// The role in the organization.
    pub(crate) role: String,
    pub(crate) tenants: Vec<TenantOffer>,
    pub(crate) products: Vec<ProductOffer>,
    pub(crate) status: InvitationStatus,
    /// Of the letter.
    pub(crate) language: Option<String>,
    /// The last four characters of the token in the newest letter.
    pub(crate) token_hint: String,
    /// Who sent the newest letter: a user's id, `service_role` or `api_key:ID`.
    pub(crate) invited_by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) expires_at: String,
    /// When the newest letter was sent.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) sent_at: String,
    /// Letters after the first one.
    pub(crate) resent_count: i32,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) accepted_at: Option<String>,
    /// Null, too, if that user exists no more.
    pub(crate) accepted_by: Option<Uuid>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) revoked_at: Option<String>,
}

impl Invitation {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let Json(tenants) = row.try_get("tenants")?;
        let Json(products) = row.try_get("products")?;
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            role: row.try_get("role")?,
            tenants,
            products,
            status: InvitationStatus::read(row.try_get("status")?),
            language: row.try_get("language")?,
            token_hint: row.try_get("token_hint")?,
            invited_by: row.try_get("invited_by")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            sent_at: row.try_get("sent_at")?,
            resent_count: row.try_get("resent_count")?,
            accepted_at: row.try_get("accepted_at")?,
            accepted_by: row.try_get("accepted_by")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }
}

macro_rules! invitation_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " i.id, i.email, i.role, i.tenants, i.products, tenancy.status_of(i) as status, i.language, i.token_hint,
              i.invited_by, i.resent_count, i.accepted_by,
              to_jsonb(i.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(i.expires_at at time zone 'UTC') #>> '{}' || 'Z' as expires_at,
              to_jsonb(i.sent_at at time zone 'UTC') #>> '{}' || 'Z' as sent_at,
              to_jsonb(i.accepted_at at time zone 'UTC') #>> '{}' || 'Z' as accepted_at,
              to_jsonb(i.revoked_at at time zone 'UTC') #>> '{}' || 'Z' as revoked_at ",
            $after
        )
    };
}
use invitation_columns;

/// Up to `limit` invitations of the organization, the newest first, before one.
pub(crate) async fn list(
    client: &Client,
    organization: OrganizationId,
    status: Option<InvitationStatus>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Invitation>, DbError> {
    let sql = invitation_columns!(
        "select",
        "from tenancy.invitations i
         where i.organization_id = $1 and ($2::text is null or tenancy.status_of(i) = $2)
           and ($3::uuid is null or i.id < $3)
         order by i.id desc limit $4"
    );
    let (status, limit) = (status.map(InvitationStatus::name), i64::from(limit));
    let parameters: [Bound<'_>; 4] =
        [(&organization.0, Type::UUID), (&status, Type::TEXT), (&before, Type::UUID), (&limit, Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(Invitation::from_row).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(
    client: &Client,
    organization: OrganizationId,
    id: Uuid,
) -> Result<Option<Invitation>, DbError> {
    let sql = invitation_columns!(
        "select",
        "from tenancy.invitations i where i.organization_id = $1 and i.id = $2"
    );
    let row = client.query_typed_opt(sql, &[(&organization.0, Type::UUID), (&id, Type::UUID)]).await?;
    Ok(row.as_ref().map(Invitation::from_row).transpose()?)
}

/// What is full, and for how long no further letter goes; `None` while there is room for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// The organization's hour.
    pub(crate) by_organization: Option<Duration>,
    /// The hour of who invites.
    pub(crate) by_inviter: Option<Duration>,
    /// The day of the address.
    pub(crate) to_recipient: Option<Duration>,
    /// Invitations of the organization that can be accepted.
    pub(crate) pending: i64,
}

/// Counts letters against the most `within_an_hour` and `to_one`; until the transaction ends, nobody else counts for the same
/// inviter or recipient. The organization is locked by the caller.
pub(crate) async fn count(
    client: &Client,
    organization: OrganizationId,
    email: &str,
    (within_an_hour, to_one): (u32, u32),
) -> Result<Full, DbError> {
    let lock = "select pg_advisory_xact_lock(hashtextextended('tenancy.inviter ' || coalesce(current_setting('rowhouse.actor', true), ''), 0))";
    client.query_typed(lock, &[]).await?;
    let lock = "select pg_advisory_xact_lock(hashtextextended('tenancy.recipient ' || $1, 0))";
    client.query_typed(lock, &[(&email, Type::TEXT)]).await?;
    let sql = include_str!("../../sql/invitation_counts.sql");
    let at = |most: u32| i32::try_from(most).unwrap_or(i32::MAX);
    let (within_an_hour, to_one) = (at(within_an_hour), at(to_one));
    let parameters: [Bound<'_>; 4] = [
        (&organization.0, Type::UUID),
        (&email, Type::TEXT),
        (&within_an_hour, Type::INT4),
        (&to_one, Type::INT4),
    ];
    let row = client.query_typed_one(sql, &parameters).await?;
    let wait = |name: &str| {
        let seconds: Option<f64> = row.try_get(name)?;
        Ok::<_, DbError>(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(1.0))))
    };
    Ok(Full {
        by_organization: wait("by_organization")?,
        by_inviter: wait("by_inviter")?,
        to_recipient: wait("to_recipient")?,
        pending: row.try_get("pending")?,
    })
}

/// Whether somebody with this address is a member of the organization.
pub(crate) async fn is_member(
    client: &Client,
    organization: OrganizationId,
    email: &str,
) -> Result<bool, DbError> {
    let sql = "select exists (
                 select from auth.users u join tenancy.organization_members m on m.user_id = u.id
                 where m.organization_id = $1 and lower(u.email) = $2 and u.deleted_at is null)";
    let row = client.query_typed_one(sql, &[(&organization.0, Type::UUID), (&email, Type::TEXT)]).await?;
    Ok(row.try_get(0)?)
}
