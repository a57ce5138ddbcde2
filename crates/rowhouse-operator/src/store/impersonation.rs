//! `operators.impersonations`. Who may do what is left to `flow`.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;

/// An operator who acts, or acted, as a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Impersonation {
    /// The claim `impersonation_id`.
    pub(crate) id: Uuid,
    /// Who: the claim `act.sub`.
    pub(crate) operator_id: Uuid,
    /// As whom.
    pub(crate) user_id: Uuid,
    /// The tenant that was asked for; null means the user's default one.
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) reason: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    /// When it ends, whatever happens.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) expires_at: String,
    /// When the code was redeemed; null until then.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) redeemed_at: Option<String>,
    /// When it has ended; null while it runs.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) ended_at: Option<String>,
    /// `ended` by an operator, `expired`, `not_redeemed` in time, `signed_out`, or `revoked` with the operator's role.
    pub(crate) end_reason: Option<String>,
}

const COLUMNS: &str = "i.id, i.operator_id, i.user_id, i.tenant_id, i.reason, i.end_reason,
  to_jsonb(i.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
  to_jsonb(i.expires_at at time zone 'UTC') #>> '{}' || 'Z' as expires_at,
  to_jsonb(i.redeemed_at at time zone 'UTC') #>> '{}' || 'Z' as redeemed_at,
  to_jsonb(i.ended_at at time zone 'UTC') #>> '{}' || 'Z' as ended_at";

impl Impersonation {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            operator_id: row.try_get("operator_id")?,
            user_id: row.try_get("user_id")?,
            tenant_id: row.try_get("tenant_id")?,
            reason: row.try_get("reason")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            redeemed_at: row.try_get("redeemed_at")?,
            ended_at: row.try_get("ended_at")?,
            end_reason: row.try_get("end_reason")?,
        })
    }
}

/// One to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewImpersonation<'a> {
    pub(crate) id: Uuid,
    pub(crate) operator: Uuid,
    pub(crate) user: Uuid,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) reason: &'a str,
    pub(crate) code_digest: &'a str,
    pub(crate) code_expires_at: OffsetDateTime,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
}

/// Makes one. The schema refuses a second one of the operator that has not ended.
pub(crate) async fn create(tx: &Client, new: &NewImpersonation<'_>) -> Result<Impersonation, DbError> {
    let sql = format!(
        "insert into operators.impersonations as i
           (id, operator_id, user_id, tenant_id, reason, code_digest, code_expires_at, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {COLUMNS}"
    );
    let parameters: [Bound<'_>; 9] = [
        (&new.id, Type::UUID),
        (&new.operator, Type::UUID),
        (&new.user, Type::UUID),
        (&new.tenant, Type::UUID),
        (&new.reason, Type::TEXT),
        (&new.code_digest, Type::TEXT),
        (&new.code_expires_at, Type::TIMESTAMPTZ),
        (&new.created_at, Type::TIMESTAMPTZ),
        (&new.expires_at, Type::TIMESTAMPTZ),
    ];
    Ok(Impersonation::from_row(&tx.query_typed_one(&sql, &parameters).await?)?)
}

/// Ends the operator's own that is over by itself, so that another one can begin before the sweeper has come.
pub(crate) async fn end_lapsed(tx: &Client, operator: Uuid, now: OffsetDateTime) -> Result<(), DbError> {
    let sql = "select operators.end_impersonation(i, operators.lapse(i, $2)) from operators.impersonations i
               where i.operator_id = $1 and i.ended_at is null and operators.lapse(i, $2) is not null";
    tx.query_typed(sql, &[(&operator, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// What a code stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redeemable {
    pub(crate) id: Uuid,
    pub(crate) operator: Uuid,
    pub(crate) user: Uuid,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) expires_at: OffsetDateTime,
}

/// The impersonation whose code can still be redeemed; locked until the transaction ends.
pub(crate) async fn find_by_code(
    tx: &Client,
    digest: &str,
    now: OffsetDateTime,
) -> Result<Option<Redeemable>, DbError> {
    let sql =
        "select i.id, i.operator_id, i.user_id, i.tenant_id, i.expires_at from operators.impersonations i
               where i.code_digest = $1 and i.redeemed_at is null and i.ended_at is null
                 and operators.lapse(i, $2) is null
               for update";
    let row = tx.query_typed_opt(sql, &[(&digest, Type::TEXT), (&now, Type::TIMESTAMPTZ)]).await?;
    let read = |row: Row| {
        Ok::<_, tokio_postgres::Error>(Redeemable {
            id: row.try_get("id")?,
            operator: row.try_get("operator_id")?,
            user: row.try_get("user_id")?,
            tenant: row.try_get("tenant_id")?,
            expires_at: row.try_get("expires_at")?,
        })
    };
    Ok(row.map(read).transpose()?)
}

/// Notes the session that a code was redeemed for.
pub(crate) async fn note_session(
    tx: &Client,
    id: Uuid,
    session: Uuid,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let sql = "update operators.impersonations set session_id = $2, redeemed_at = $3 where id = $1";
    let parameters: [Bound<'_>; 3] = [(&id, Type::UUID), (&session, Type::UUID), (&now, Type::TIMESTAMPTZ)];
    tx.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Ends one early. `None` if there is none; it is returned as it is then.
pub(crate) async fn end(tx: &Client, id: Uuid) -> Result<Option<Impersonation>, DbError> {
    let sql =
        "select operators.end_impersonation(i, 'ended') from operators.impersonations i where i.id = $1";
    tx.query_typed(sql, &[(&id, Type::UUID)]).await?;
    find(tx, id).await
}

/// One.
pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<Impersonation>, DbError> {
    let sql = format!("select {COLUMNS} from operators.impersonations i where i.id = $1");
    let row = client.query_typed_opt(&sql, &[(&id, Type::UUID)]).await?;
    Ok(row.as_ref().map(Impersonation::from_row).transpose()?)
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) operator: Option<Uuid>,
    pub(crate) user: Option<Uuid>,
    /// Those that have not ended, or those that have.
    pub(crate) running: Option<bool>,
    /// Ids are in the order of time: those before this one.
    pub(crate) before: Option<Uuid>,
    pub(crate) limit: u32,
}

/// Impersonations, the newest first.
pub(crate) async fn list(client: &Client, wanted: &Wanted) -> Result<Vec<Impersonation>, DbError> {
    let sql = format!(
        "select {COLUMNS} from operators.impersonations i
         where ($1::uuid is null or i.operator_id = $1) and ($2::uuid is null or i.user_id = $2)
           and ($3::boolean is null or (i.ended_at is null) = $3) and ($4::uuid is null or i.id < $4)
         order by i.id desc limit $5"
    );
    let limit = i64::from(wanted.limit);
    let parameters: [Bound<'_>; 5] = [
        (&wanted.operator, Type::UUID),
        (&wanted.user, Type::UUID),
        (&wanted.running, Type::BOOL),
        (&wanted.before, Type::UUID),
        (&limit, Type::INT8),
    ];
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(Impersonation::from_row).collect::<Result<_, _>>()?)
}

/// What decides about a new one.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// How long the operator's role lasts; `None` means without end.
    pub(crate) role_ends_at: Option<OffsetDateTime>,
    pub(crate) exists: bool,
    /// Whether the user can sign in.
    pub(crate) is_open: bool,
    /// Whether the user is a plain one: no operator, and of no other database role than a user's.
    pub(crate) is_plain: bool,
    /// Whether the user is an active member of the tenant, if one is asked for.
    pub(crate) is_member: bool,
}

/// Looks them up.
pub(crate) async fn facts(
    tx: &Client,
    operator: Uuid,
    user: Uuid,
    tenant: Option<Uuid>,
) -> Result<Facts, DbError> {
    let sql = "select
        (select o.expires_at from tenancy.operators o where o.user_id = $1) as role_ends_at,
        u.id is not null as exists,
        coalesce(u.deleted_at is null and (u.banned_until is null or u.banned_until <= now()), false) as is_open,
        coalesce(u.role = 'authenticated' and tenancy.operator_role(u.id) is null, false) as is_plain,
        $3::uuid is null or exists (select from auth.membership_of(u.id, $3) m where m.tenant_id = $3) as is_member
      from (select) one left join auth.users u on u.id = $2";
    let parameters: [Bound<'_>; 3] = [(&operator, Type::UUID), (&user, Type::UUID), (&tenant, Type::UUID)];
    let row = tx.query_typed_one(sql, &parameters).await?;
    Ok(Facts {
        role_ends_at: row.try_get("role_ends_at")?,
        exists: row.try_get("exists")?,
        is_open: row.try_get("is_open")?,
        is_plain: row.try_get("is_plain")?,
        is_member: row.try_get("is_member")?,
    })
}

/// Writes an entry into the audit log of each of the user's organizations.
pub(crate) async fn audit(
    tx: &Client,
    action: &str,
    user: Uuid,
    details: &serde_json::Value,
) -> Result<(), DbError> {
    let sql = "select operators.audit($1, $2, $3)";
    let parameters: [Bound<'_>; 3] = [(&action, Type::TEXT), (&user, Type::UUID), (&details, Type::JSONB)];
    tx.query_typed(sql, &parameters).await?;
    Ok(())
}
