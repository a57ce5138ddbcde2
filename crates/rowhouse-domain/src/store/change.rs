//! Writing claims. What confirms, fails and releases them are functions of the schema, which also record it.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::Caller;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Bound;
use crate::challenge::Proof;
use crate::claim::{Claim, Owner};
use crate::settings::DomainSettings;

/// Between two looks for one proof on request.
pub(crate) const REST: Duration = Duration::from_secs(5);
/// How long a code of a letter can be entered, in seconds, and how often a wrong one.
const CODE_SECONDS: f64 = 86_400.0;
const MOST_CODES: i32 = 10;

/// A claim to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewClaim<'a> {
    pub(crate) id: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) owner: Owner,
    pub(crate) name: &'a str,
    pub(crate) proof: Proof,
    pub(crate) token: &'a str,
}

/// Makes one.
pub(crate) async fn insert(client: &Client, new: &NewClaim<'_>) -> Result<(), DbError> {
    let sql = "insert into domains.claims (id, organization_id, tenant_id, name, proof, challenge)
               values ($1, $2, $3, $4, $5, $6)";
    let tenant = match new.owner {
        Owner::Tenant(id) => Some(id.0),
        Owner::Organization(_) => None,
    };
    let parameters: [Bound<'_>; 6] = [
        (&new.id, Type::UUID),
        (&new.organization, Type::UUID),
        (&tenant, Type::UUID),
        (&new.name, Type::TEXT),
        (&new.proof.name(), Type::TEXT),
        (&new.token, Type::TEXT),
    ];
    client.execute_typed(sql, &parameters).await?;
    // The row by which people join, once it is verified.
    let sql = "select domains.apply_to_joining(c) from domains.claims c where c.id = $1";
    client.query_typed(sql, &[(&new.id, Type::UUID)]).await?;
    Ok(())
}

/// Makes it pending again, to be proved in this way with the same token.
pub(crate) async fn renew(client: &Client, id: Uuid, proof: Proof) -> Result<(), DbError> {
    let sql = "update domains.claims set status = 'pending', proof = $2, updated_at = clock_timestamp(), checked_at = null,
                 failures = 0, failing_since = null, unanswered_since = null, last_error = null
               where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&proof.name(), Type::TEXT)]).await?;
    Ok(())
}

/// Writes an audit entry and an event about it.
pub(crate) async fn record(client: &Client, id: Uuid, action: &str, details: &Value) -> Result<(), DbError> {
    let sql = "select domains.record(c, $2, $3) from domains.claims c where c.id = $1";
    let parameters: [Bound<'_>; 3] = [(&id, Type::UUID), (&action, Type::TEXT), (details, Type::JSONB)];
    client.query_typed(sql, &parameters).await?;
    Ok(())
}

/// Most letters to the postmaster of one name within a day, whoever names it.
const MOST_TO_NAME: i32 = 5;
/// Most letters to postmasters within a day from one organization and its tenants, whatever they name and release; and from one
/// user, in however many organizations.
const MOST_BY_ONE: i32 = 20;

/// How long no further letter goes; `None` while there is room for one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Full {
    /// To the postmaster of the name, for all claims to it.
    pub(crate) to_name: Option<Duration>,
    /// From the organization and its tenants, for released claims too.
    pub(crate) by_organization: Option<Duration>,
    /// From the user who asks, if it is one.
    pub(crate) by_user: Option<Duration>,
    /// After this claim's last one, which was a moment ago.
    pub(crate) of_claim: Option<Duration>,
}

/// Counts letters; until the transaction ends, nobody else counts for the same organization, user or name.
pub(crate) async fn count_letters(client: &Client, claim: &Claim) -> Result<Full, DbError> {
    let lock = "select pg_advisory_xact_lock(hashtextextended('domains.letters ' || $1, 0))";
    client.query_typed(lock, &[(&claim.organization_id.to_string(), Type::TEXT)]).await?;
    let own = "select pg_advisory_xact_lock(hashtextextended('domains.asked ' || coalesce(current_setting('rowhouse.actor', true), ''), 0))";
    client.query_typed(own, &[]).await?;
    client.query_typed(lock, &[(&claim.name, Type::TEXT)]).await?;
    let sql = include_str!("../../sql/letters.sql");
    let parameters: [Bound<'_>; 5] = [
        (&claim.id, Type::UUID),
        (&claim.name, Type::TEXT),
        (&claim.organization_id, Type::UUID),
        (&MOST_TO_NAME, Type::INT4),
        (&MOST_BY_ONE, Type::INT4),
    ];
    let row = client.query_typed_one(sql, &parameters).await?;
    let wait = |name: &str| {
        let seconds: Option<f64> = row.try_get(name)?;
        Ok::<_, DbError>(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(1.0))))
    };
    Ok(Full {
        to_name: wait("to_name")?,
        by_organization: wait("by_organization")?,
        by_user: wait("by_user")?,
        of_claim: wait("of_claim")?,
    })
}

/// Stores the digest of a letter's code; those of letters before it stop working.
pub(crate) async fn note_letter(client: &Client, id: Uuid, digest: &str) -> Result<(), DbError> {
    let sql = "update domains.claims set code_digest = $2, code_attempts = 0,
                 asked_by = nullif(current_setting('rowhouse.actor', true), ''),
                 letters = (array_append(letters, clock_timestamp()))[greatest(cardinality(letters) - 18, 1):]
               where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&digest, Type::TEXT)]).await?;
    Ok(())
}

/// Whether it is the code of the newest letter; `None` if that has none any more. The statement that compares also counts, so
/// that attempts at the same time cannot exceed the bound.
pub(crate) async fn try_code(client: &Client, id: Uuid, digest: &str) -> Result<Option<bool>, DbError> {
    let sql = "update domains.claims set code_attempts = code_attempts + 1
               where id = $1 and code_digest is not null and code_attempts < $3
                 and letters[cardinality(letters)] > clock_timestamp() - make_interval(secs => $4)
               returning code_digest = $2";
    let parameters: [Bound<'_>; 4] =
        [(&id, Type::UUID), (&digest, Type::TEXT), (&MOST_CODES, Type::INT4), (&CODE_SECONDS, Type::FLOAT8)];
    let row = client.query_typed_opt(sql, &parameters).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Whether the proof was not looked for a moment ago; then it counts as looked for now.
pub(crate) async fn begin_check(client: &Client, id: Uuid) -> Result<bool, DbError> {
    let sql = "update domains.claims set checked_at = clock_timestamp()
               where id = $1 and (checked_at is null or checked_at < clock_timestamp() - make_interval(secs => $2))";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID), (&REST.as_secs_f64(), Type::FLOAT8)]).await? > 0)
}

/// Notes that the proof was seen; see `domains.confirm`.
pub(crate) async fn confirm(client: &Client, id: Uuid, next: Duration) -> Result<String, DbError> {
    let sql = "select domains.confirm($1, make_interval(secs => $2))";
    let row = client.query_typed_one(sql, &[(&id, Type::UUID), (&next.as_secs_f64(), Type::FLOAT8)]).await?;
    Ok(row.try_get(0)?)
}

/// Notes that it was not; see `domains.miss`.
pub(crate) async fn miss(
    client: &Client,
    id: Uuid,
    (error, is_answer): (&str, bool),
    settings: &DomainSettings,
) -> Result<String, DbError> {
    let sql = "select domains.miss($1, $2, $3, make_interval(secs => $4), $5, make_interval(secs => $6),
                 make_interval(secs => $7))";
    let seconds = |span: Duration| span.as_secs_f64();
    let failures = i32::try_from(settings.recheck_failures).unwrap_or(i32::MAX);
    let parameters: [Bound<'_>; 7] = [
        (&id, Type::UUID),
        (&error, Type::TEXT),
        (&is_answer, Type::BOOL),
        (&seconds(settings.recheck_interval), Type::FLOAT8),
        (&failures, Type::INT4),
        (&seconds(settings.grace), Type::FLOAT8),
        (&seconds(settings.unanswered_grace), Type::FLOAT8),
    ];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}

/// Gives it up; false if it was already.
pub(crate) async fn release(client: &Client, id: Uuid) -> Result<bool, DbError> {
    let sql = "select domains.release($1, 'requested')";
    Ok(client.query_typed_one(sql, &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// Says who may join the organization by the name; what is `None` stays.
pub(crate) async fn set_joining(
    client: &Client,
    organization: Uuid,
    name: &str,
    auto_join: Option<bool>,
    role: Option<&str>,
) -> Result<bool, DbError> {
    if let Some(role) = role {
        let sql = "select tenancy.require_role($1, $2)";
        client.query_typed(sql, &[(&organization, Type::UUID), (&role, Type::TEXT)]).await?;
    }
    let sql = "update tenancy.organization_domains set auto_join = coalesce($3, auto_join),
                 auto_join_role = coalesce($4, auto_join_role)
               where organization_id = $1 and domain = $2";
    let parameters: [Bound<'_>; 4] =
        [(&organization, Type::UUID), (&name, Type::TEXT), (&auto_join, Type::BOOL), (&role, Type::TEXT)];
    Ok(client.execute_typed(sql, &parameters).await? > 0)
}

/// Why the caller may not let others join in a role: a permission that he lacks himself.
pub(crate) async fn refusal_of_role(
    client: &Client,
    caller: &Caller,
    organization: Uuid,
    role: &str,
) -> Result<Option<String>, DbError> {
    let (sql, id) = match (caller.user, caller.api_key) {
        _ if caller.is_service() => return Ok(None),
        (Some(user), _) => ("select tenancy.refusal_of_role($1, $2, null, $3)", user.0),
        (None, Some(key)) => ("select tenancy.refusal_of_role_by_key($1, $2, null, $3)", key.0),
        (None, None) => return Ok(Some("permissions:modify".to_owned())),
    };
    let parameters: [Bound<'_>; 3] = [(&id, Type::UUID), (&organization, Type::UUID), (&role, Type::TEXT)];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
