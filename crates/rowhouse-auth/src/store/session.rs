//! `auth.sessions`.

use std::net::IpAddr;

use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client as Connection, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::method::{Amr, SignedInBy};
use crate::request::Client;

/// The columns of a session that tokens need.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) created_at: OffsetDateTime,
    /// When it expires.
    pub(crate) not_after: Option<OffsetDateTime>,
    /// `aal1`, `aal2` or `aal3`.
    pub(crate) aal: String,
    /// How it was authenticated, the latest method first.
    pub(crate) amr: Vec<Amr>,
    pub(crate) tenant_id: Option<Uuid>,
}

impl SessionRow {
    fn from_row(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            created_at: row.try_get("created_at")?,
            not_after: row.try_get("not_after")?,
            aal: row.try_get("aal")?,
            amr: serde_json::from_value(row.try_get("amr")?).map_err(Fault::Json)?,
            tenant_id: row.try_get("tenant_id")?,
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
         coalesce((
           select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('method', a.authentication_method,
             'timestamp', extract(epoch from a.updated_at)::bigint, 'provider', a.provider)) order by a.updated_at desc)
           from auth.mfa_amr_claims a where a.session_id = sessions.id), '[]') as amr"
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
    /// Digest of its first refresh token.
    pub(crate) token_digest: &'a str,
    /// Most sessions of the user, including this one.
    pub(crate) most: u32,
    pub(crate) by: SignedInBy<'a>,
    /// Id of the entry that keeps the method.
    pub(crate) claim: Uuid,
}

/// Opens a session in the user's default tenant and stores the time of the sign-in. Deletes the user's sessions beyond the
/// bound: ended ones first, then those that were not used for the longest time.
pub(crate) async fn open(
    client: &Connection,
    new: NewSession<'_>,
    from: &Client,
    now: OffsetDateTime,
) -> Result<SessionRow, Fault> {
    let NewSession { id, user, token_digest, most, by, claim } = new;
    let others = i64::from(most.max(1) - 1);
    let sql = "with surplus as (
           delete from auth.sessions where id = any (array(
             select s.id from auth.sessions s where s.user_id = $2
             order by s.not_after is null or s.not_after > $4 desc, coalesce(s.refreshed_at, s.created_at) desc
             offset $7 limit 100))
         ), sessions as (
           insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, tenant_id)
           values ($1, $2, $4, $4, 'aal1', $5, $6, tenancy.default_tenant($2))
           returning *
         ), token as (
           insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, session_id)
           select $3, $2::text, false, $4, $4, id from sessions
         ), claim as (
           insert into auth.mfa_amr_claims (id, session_id, authentication_method, provider, created_at, updated_at)
           select $8, id, $9, $10, $4, $4 from sessions
         ), signed_in as (
           update auth.identities set last_sign_in_at = $4, updated_at = $4
           where user_id = $2 and provider = coalesce($10, 'email')
         )
         select id, user_id, created_at, not_after, aal::text as aal, tenant_id,
           jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('method', $9, 'timestamp', extract(epoch from $4)::bigint,
             'provider', $10))) as amr
         from sessions";
    let row = client
        .query_typed_one(
            sql,
            &[
                (&id, Type::UUID),
                (&user, Type::UUID),
                (&token_digest, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
                (&from.user_agent, Type::TEXT),
                (&from.address, Type::INET),
                (&others, Type::INT8),
                (&claim, Type::UUID),
                (&by.method.as_str(), Type::TEXT),
                (&by.provider, Type::TEXT),
            ],
        )
        .await?;
    SessionRow::from_row(&row)
}

/// Locks the session that a refresh token belongs to, so that its rotations are serialized.
pub(crate) async fn lock_by_token(
    client: &Connection,
    token_digest: &str,
) -> Result<Option<SessionRow>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.sessions where id = (select session_id from auth.refresh_tokens where token = $1) for update"
    );
    let row = client.query_typed_opt(sql, &[(&token_digest, Type::TEXT)]).await?;
    row.as_ref().map(SessionRow::from_row).transpose()
}

/// Locks a session of a user.
pub(crate) async fn lock(client: &Connection, id: Uuid, user: Uuid) -> Result<Option<SessionRow>, Fault> {
    let sql = concat!("select ", columns!(), " from auth.sessions where id = $1 and user_id = $2 for update");
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID), (&user, Type::UUID)]).await?;
    row.as_ref().map(SessionRow::from_row).transpose()
}

/// Stores the time of a refresh, and the tenant of the new token.
pub(crate) async fn touch(
    client: &Connection,
    id: Uuid,
    tenant: Option<Uuid>,
    from: &Client,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.sessions
               set refreshed_at = $3, updated_at = $3, tenant_id = $2, user_agent = coalesce($4, user_agent), ip = coalesce($5, ip)
               where id = $1";
    let ip: Option<IpAddr> = from.address;
    client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&tenant, Type::UUID),
                (&now, Type::TIMESTAMPTZ),
                (&from.user_agent, Type::TEXT),
                (&ip, Type::INET),
            ],
        )
        .await?;
    Ok(())
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

/// Deletes sessions of `user` with their refresh tokens. `current` is the caller's own.
pub(crate) async fn end(
    client: &Connection,
    user: Uuid,
    current: Option<Uuid>,
    scope: Scope,
) -> Result<(), Fault> {
    let sql = match scope {
        Scope::Global => "delete from auth.sessions where user_id = $1 and ($2::uuid is null or true)",
        Scope::Local => "delete from auth.sessions where user_id = $1 and id = $2",
        Scope::Others => "delete from auth.sessions where user_id = $1 and id is distinct from $2",
    };
    client.execute_typed(sql, &[(&user, Type::UUID), (&current, Type::UUID)]).await?;
    Ok(())
}
