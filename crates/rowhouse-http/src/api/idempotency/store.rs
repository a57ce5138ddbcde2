//! SQL of `rowhouse.idempotency_keys`.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::Origin;
use time::OffsetDateTime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::{KeyScope, StoredResponse};

/// How long answers are kept.
const KEPT: Duration = Duration::from_hours(24);
/// Stored answers per caller; the oldest are deleted first.
const MAX_ANSWERS_OF_CALLER: i32 = 5000;

/// Id of the row that a request has claimed; a request that takes over an expired key gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim(i64);

/// The state of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Unused; it is now claimed by this request.
    First(Claim),
    /// A request with this key is under way.
    Running,
    /// The key belongs to another request.
    OtherRequest,
    /// The request was answered with this.
    Answered(StoredResponse),
}

/// Claims the key for the request with this digest, unless it is in use.
pub(super) async fn begin(
    control: &Control,
    origin: &Origin,
    scope: &KeyScope,
    digest: &str,
    running: Duration,
) -> Result<Begun, DbError> {
    let (tenant, now) = (scope.tenant.map(|tenant| tenant.0), origin.clock.now());
    let (KeyScope { caller, key, .. }, until) = (scope.clone(), now + running);
    let digest = digest.to_owned();
    let claim = async move |client: &Client| {
        let sql = "select is_first, claim, digest, status, content_type, etag, body
                   from rowhouse.claim_idempotency_key($1, $2, $3, $4, $5, $6, $7)";
        let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
            (&tenant, Type::UUID),
            (&caller, Type::TEXT),
            (&key, Type::TEXT),
            (&digest, Type::TEXT),
            (&now, Type::TIMESTAMPTZ),
            (&until, Type::TIMESTAMPTZ),
            (&MAX_ANSWERS_OF_CALLER, Type::INT4),
        ];
        let row = client.query_typed_one(sql, &parameters).await?;
        Ok::<_, DbError>(begun(&row, &digest)?)
    };
    control.statement(&origin.operation("http.claim_idempotency_key"), claim).await
}

fn begun(row: &Row, digest: &str) -> Result<Begun, tokio_postgres::Error> {
    if row.try_get("is_first")? {
        return Ok(Begun::First(Claim(row.try_get("claim")?)));
    }
    let theirs: Option<&str> = row.try_get("digest")?;
    if theirs.is_some_and(|theirs| theirs != digest) {
        return Ok(Begun::OtherRequest);
    }
    Ok(answer(row)?.map_or(Begun::Running, Begun::Answered))
}

fn answer(row: &Row) -> Result<Option<StoredResponse>, tokio_postgres::Error> {
    let status: Option<i16> = row.try_get("status")?;
    let status = status.and_then(|status| StatusCode::from_u16(status.unsigned_abs()).ok());
    let Some(status) = status else { return Ok(None) };
    let body: Vec<u8> = row.try_get("body")?;
    let (content_type, etag) = (header(row, "content_type")?, header(row, "etag")?);
    Ok(Some(StoredResponse { status, content_type, etag, body: body.into() }))
}

fn header(row: &Row, column: &str) -> Result<Option<HeaderValue>, tokio_postgres::Error> {
    let text: Option<&str> = row.try_get(column)?;
    Ok(text.and_then(|text| HeaderValue::from_str(text).ok()))
}

/// Stores the answer; false if one is stored already or the claim was lost.
pub(super) async fn keep(
    client: &Client,
    Claim(claim): Claim,
    answer: &StoredResponse,
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    let sql = "update rowhouse.idempotency_keys
               set status = $2, content_type = $3, etag = $4, body = $5, expires_at = $6
               where id = $1 and status is null";
    let (content_type, etag) = (text(answer.content_type.as_ref()), text(answer.etag.as_ref()));
    let (status, body, until) = (answer.status.as_u16().cast_signed(), &*answer.body, now + KEPT);
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&claim, Type::INT8),
        (&status, Type::INT2),
        (&content_type, Type::TEXT),
        (&etag, Type::TEXT),
        (&body, Type::BYTEA),
        (&until, Type::TIMESTAMPTZ),
    ];
    Ok(client.execute_typed(sql, &parameters).await? > 0)
}

/// The header's text, if it fits into its column.
fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok()).filter(|text| text.len() <= 255)
}

/// Stores the answer unless the route has; without one, frees the key.
pub(super) async fn end(
    control: &Control,
    origin: &Origin,
    claim: Claim,
    answer: Option<StoredResponse>,
) -> Result<(), DbError> {
    let now = origin.clock.now();
    let end = async move |client: &Client| match &answer {
        Some(answer) => keep(client, claim, answer, now).await.map(|_| ()),
        None => free(client, claim).await,
    };
    control.statement(&origin.operation("http.end_idempotent_request"), end).await
}

async fn free(client: &Client, Claim(claim): Claim) -> Result<(), DbError> {
    let sql = "delete from rowhouse.idempotency_keys where id = $1 and status is null";
    client.execute_typed(sql, &[(&claim, Type::INT8)]).await?;
    Ok(())
}
