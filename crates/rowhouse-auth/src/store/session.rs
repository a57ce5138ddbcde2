//! `auth.sessions`.

use rowhouse_kernel::{Impersonation, UserId};
use rowhouse_tenancy::membership::Membership;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client as Connection, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::method::{Amr, SignedInBy};
use crate::request::Client;
use crate::rotation::Current;

/// The columns of a session that tokens need.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// When it expires.
    pub(crate) not_after: Option<OffsetDateTime>,
    /// `aal1`, `aal2` or `aal3`.
    pub(crate) aal: String,
    /// How it was authenticated, the latest method first.
    pub(crate) amr: Vec<Amr>,
    pub(crate) tenant_id: Option<Uuid>,
    /// The operator who acts as the user in it, if one does.
    pub(crate) impersonation: Option<Impersonation>,
    /// The counter of its refresh tokens; a session of before has none until it is refreshed.
    pub(crate) current: Option<Current>,
}

impl SessionRow {
    pub(super) fn from_row(row: &Row) -> Result<Self, Fault> {
        let (counter, rotated_at): (Option<i64>, Option<OffsetDateTime>) =
            (row.try_get("refresh_token_counter")?, row.try_get("rotated_at")?);
        let created_at: OffsetDateTime = row.try_get("created_at")?;
        let current =
            counter.map(|counter| Current { counter, rotated_at: rotated_at.unwrap_or(created_at) });
        Ok(Self {
            current,
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            not_after: row.try_get("not_after")?,
            aal: row.try_get("aal")?,
            amr: serde_json::from_value(row.try_get("amr")?).map_err(Fault::Json)?,
            tenant_id: row.try_get("tenant_id")?,
            impersonation: find_impersonation(row)?,
        })
    }

    /// Whether a second factor was verified in this session.
    pub(crate) fn is_aal2(&self) -> bool {
        self.aal != "aal1"
    }

    /// True once the session has expired.
    pub(crate) fn is_over(&self, now: OffsetDateTime) -> bool {
        self.not_after.is_some_and(|end| end <= now)
    }
}

macro_rules! columns {
    () => {
        "id, user_id, coalesce(created_at, now()) as created_at,
         case when not_after = 'infinity' then '9999-12-31' else not_after end as not_after,
         coalesce(aal, 'aal1')::text as aal, tenant_id,
          refresh_token_counter, rotated_at, auth.amr_of(id) as amr, impersonator, impersonation_id"
    };
}

/// Which sessions a sign-out ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the user's.
    Global,
    /// The caller's own.
    Local,
    /// All but the caller's own.
    Others,
}

/// A new session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSession<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    /// Most sessions of the user besides this one.
    pub(crate) others: i64,
    pub(crate) by: SignedInBy<'a>,
    /// Id of the entry that keeps the method.
    pub(crate) claim: Uuid,
}

/// A session that was opened, in its tenant.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: SessionRow,
    pub(crate) membership: Option<Membership>,
}

impl Opened {
    pub(crate) fn from_row(row: &Row) -> Result<Self, Fault> {
        Ok(Self { session: SessionRow::from_row(row)?, membership: find_membership(row)? })
    }
}

fn find_impersonation(row: &Row) -> Result<Option<Impersonation>, Fault> {
    let operator: Option<Uuid> = row.try_get("impersonator")?;
    let id: Option<Uuid> = row.try_get("impersonation_id")?;
    Ok(id.zip(operator).map(|(id, operator)| Impersonation { id, operator: UserId(operator) }))
}

/// The tenant in a row of `auth.open_session` or `auth.refresh_session`.
pub(super) fn find_membership(row: &Row) -> Result<Option<Membership>, Fault> {
    let tenant: Option<Uuid> = row.try_get("tenant_id")?;
    let organization: Option<Uuid> = row.try_get("organization_id")?;
    let role: Option<String> = row.try_get("tenant_role")?;
    let all = tenant.zip(organization).zip(role);
    Ok(all.map(|((tenant_id, organization_id), role)| Membership { tenant_id, organization_id, role }))
}

/// Opens a session and makes room for it: `auth.open_session`.
pub(crate) async fn open(
    client: &Connection,
    new: NewSession<'_>,
    from: &Client,
    now: OffsetDateTime,
) -> Result<Opened, Fault> {
    let sql = "select * from auth.open_session($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let row = client
        .query_typed_one(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.user, Type::UUID),
                (&now, Type::TIMESTAMPTZ),
                (&from.user_agent, Type::TEXT),
                (&from.address, Type::INET),
                (&new.others, Type::INT8),
                (&new.claim, Type::UUID),
                (&new.by.method.as_str(), Type::TEXT),
                (&new.by.provider, Type::TEXT),
            ],
        )
        .await?;
    Opened::from_row(&row)
}

/// Locks the session that a token with a row belongs to, stored in one of these forms; not an application's.
pub(crate) async fn lock_by_token(client: &Connection, forms: &[&str]) -> Result<Option<SessionRow>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.sessions where id = (select session_id from auth.refresh_tokens where token = any ($1) limit 1)
           and oauth_client_id is null for update"
    );
    let row = client.query_typed_opt(sql, &[(&forms, Type::TEXT_ARRAY)]).await?;
    row.as_ref().map(SessionRow::from_row).transpose()
}

/// Locks a session of a user; not an application's, which must not become the user's own.
pub(crate) async fn lock(client: &Connection, id: Uuid, user: Uuid) -> Result<Option<SessionRow>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.sessions where id = $1 and user_id = $2 and oauth_client_id is null for update"
    );
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID), (&user, Type::UUID)]).await?;
    row.as_ref().map(SessionRow::from_row).transpose()
}

/// The tenant that a session never leaves, if there is one.
pub(crate) async fn find_only_tenant(client: &Connection, id: Uuid) -> Result<Option<Uuid>, Fault> {
    let sql = "select only_tenant_id from auth.sessions where id = $1";
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// When a user's session began.
pub(crate) async fn find_start(
    client: &Connection,
    id: Uuid,
    user: Uuid,
) -> Result<Option<OffsetDateTime>, Fault> {
    let sql = "select coalesce(created_at, now()) from auth.sessions where id = $1 and user_id = $2";
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID), (&user, Type::UUID)]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Replaces the current refresh token by the one `steps` further, with which the session goes on in `tenant`. With one step
/// the former token is still accepted, until the new one is used; with two it is not, beyond the reuse interval.
pub(crate) async fn advance(
    client: &Connection,
    id: Uuid,
    steps: i64,
    tenant: Option<Uuid>,
    from: &Client,
    now: OffsetDateTime,
) -> Result<i64, Fault> {
    let sql = "with spent as (
                 update auth.refresh_tokens set revoked = true, updated_at = $4 where session_id = $1 and revoked is not true
               )
               update auth.sessions
               set refresh_token_counter = coalesce(refresh_token_counter, 0) + $2, rotated_at = $4, refreshed_at = $4,
                 updated_at = $4, tenant_id = $3, user_agent = coalesce($5, user_agent), ip = coalesce($6, ip)
               where id = $1
               returning refresh_token_counter";
    let row = client
        .query_typed_one(
            sql,
            &[
                (&id, Type::UUID),
                (&steps, Type::INT8),
                (&tenant, Type::UUID),
                (&now, Type::TIMESTAMPTZ),
                (&from.user_agent, Type::TEXT),
                (&from.address, Type::INET),
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Ends a session whose token was reused: its refresh tokens are revoked and kept, so that further reuse is
/// recognized, and its access tokens are no longer valid.
pub(crate) async fn revoke_family(client: &Connection, id: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "with family as (
                 update auth.refresh_tokens set revoked = true, updated_at = $2 where session_id = $1 and revoked is not true
               )
               update auth.sessions set not_after = least(not_after, $2), updated_at = $2 where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// What a user's sessions have begun and nobody has exchanged: links of identities, codes, and codes of applications. What
/// waits for a letter stays: it needs the letter.
macro_rules! pending {
    () => {
        "flows as (
           delete from auth.flow_state
           where linking_target_id = $1 or (user_id = $1 and auth_code is not null)
         ), codes as (
           delete from auth.oauth_authorizations where user_id = $1 and status = 'approved' and consumed_at is null
         )"
    };
}

/// Ends what sessions of `user` have begun and nobody has exchanged.
pub(crate) async fn end_pending(client: &Connection, user: Uuid) -> Result<(), Fault> {
    let sql = concat!("with ", pending!(), " select");
    client.query_typed(sql, &[(&user, Type::UUID)]).await?;
    Ok(())
}

/// Deletes sessions of `user` with their refresh tokens; with more than one, also what they have begun and nobody has
/// exchanged. `current` is the caller's own.
pub(crate) async fn end(
    client: &Connection,
    user: Uuid,
    current: Option<Uuid>,
    scope: Scope,
) -> Result<(), Fault> {
    let sql = match scope {
        Scope::Global => concat!(
            "with ",
            pending!(),
            " delete from auth.sessions where user_id = $1 and ($2::uuid is null or true)"
        ),
        Scope::Local => "delete from auth.sessions where user_id = $1 and id = $2",
        Scope::Others => concat!(
            "with ",
            pending!(),
            " delete from auth.sessions where user_id = $1 and id is distinct from $2"
        ),
    };
    client.execute_typed(sql, &[(&user, Type::UUID), (&current, Type::UUID)]).await?;
    Ok(())
}
