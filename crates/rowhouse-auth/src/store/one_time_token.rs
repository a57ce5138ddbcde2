//! `auth.one_time_tokens`: digests only.

use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::one_time::{Purpose, Sent};

/// Most accounts whose codes are compared with one that was typed in: one, but for changes to the same address.
const MOST_HOLDERS: i64 = 8;

/// A token to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewToken<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) sent: Sent,
    /// SHA-256 of the link's token.
    pub(crate) token_hash: &'a str,
    /// Digest of the code.
    pub(crate) code_hash: &'a str,
    /// The address that it goes to.
    pub(crate) address: &'a str,
    pub(crate) flow: Option<Uuid>,
    pub(crate) expires_at: OffsetDateTime,
}

/// A token that was sent.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    /// The name in the database.
    pub(crate) token_type: String,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) code_hash: String,
    pub(crate) address: String,
    /// The code challenge that the link's answer is bound to.
    pub(crate) flow: Option<Uuid>,
    /// Wrong codes, this attempt included.
    pub(crate) failed_attempts: i32,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl TokenRow {
    fn from_row(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            id: row.try_get("id")?,
            user: row.try_get("user_id")?,
            token_type: row.try_get("token_type")?,
            purpose: Purpose::parse(row.try_get("purpose")?),
            code_hash: row.try_get("code_hash")?,
            address: row.try_get("relates_to")?,
            flow: row.try_get("flow_state_id")?,
            failed_attempts: row.try_get("failed_attempts")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

macro_rules! columns {
    () => {
        "id, user_id, token_type::text as token_type, purpose, code_hash, relates_to, flow_state_id, failed_attempts, expires_at"
    };
}

/// Stores a token in place of the user's earlier one of its type, which is void from here on.
pub(crate) async fn put(client: &Client, new: NewToken<'_>, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "insert into auth.one_time_tokens (id, user_id, token_type, purpose, token_hash, code_hash, relates_to,
                 flow_state_id, expires_at, created_at, updated_at)
               values ($1, $2, $3::text::auth.one_time_token_type, $4, $5, $6, $7, $8, $9, $10 at time zone 'utc',
                 $10 at time zone 'utc')
               on conflict (user_id, token_type) do update set id = excluded.id, purpose = excluded.purpose,
                 token_hash = excluded.token_hash, code_hash = excluded.code_hash, relates_to = excluded.relates_to,
                 flow_state_id = excluded.flow_state_id, expires_at = excluded.expires_at, failed_attempts = 0,
                 created_at = excluded.created_at, updated_at = excluded.updated_at";
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.user, Type::UUID),
                (&new.sent.token_type.as_str(), Type::TEXT),
                (&new.sent.purpose.as_str(), Type::TEXT),
                (&new.token_hash, Type::TEXT),
                (&new.code_hash, Type::TEXT),
                (&new.address, Type::TEXT),
                (&new.flow, Type::UUID),
                (&new.expires_at, Type::TIMESTAMPTZ),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Who was sent the link's token.
pub(crate) async fn find_holder(client: &Client, token_hash: &str) -> Result<Option<Uuid>, Fault> {
    let sql = "select user_id from auth.one_time_tokens where token_hash = $1";
    let row = client.query_typed_opt(sql, &[(&token_hash, Type::TEXT)]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// The same for an address with a code, in the order in which they are to be locked.
pub(crate) async fn find_holders(client: &Client, address: &str, types: &[&str]) -> Result<Vec<Uuid>, Fault> {
    let sql = "select user_id from (
                 select t.user_id, max(t.created_at) as latest from auth.one_time_tokens t
                 where t.relates_to = $1 and t.token_type::text = any ($2) group by t.user_id
                 order by latest desc limit $3) holders
               order by user_id";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&address, Type::TEXT), (&types, Type::TEXT_ARRAY), (&MOST_HOLDERS, Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The token of a link, locked. The holder is locked first, as where tokens are sent.
pub(crate) async fn lock(
    client: &Client,
    token_hash: &str,
    types: &[&str],
) -> Result<Option<TokenRow>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.one_time_tokens where token_hash = $1 and token_type::text = any ($2) for update"
    );
    let row = client.query_typed_opt(sql, &[(&token_hash, Type::TEXT), (&types, Type::TEXT_ARRAY)]).await?;
    row.as_ref().map(TokenRow::from_row).transpose()
}

/// The tokens that were sent to an address for locked holders, each with one more attempt counted: guesses that arrive
/// together are counted one after the other.
pub(crate) async fn count_attempt(
    client: &Client,
    address: &str,
    holders: &[Uuid],
    types: &[&str],
) -> Result<Vec<TokenRow>, Fault> {
    let sql = concat!(
        "update auth.one_time_tokens set failed_attempts = least(failed_attempts + 1, 1000000)
         where relates_to = $1 and user_id = any ($2) and token_type::text = any ($3)
         returning ",
        columns!()
    );
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&address, Type::TEXT), (&holders, Type::UUID_ARRAY), (&types, Type::TEXT_ARRAY)];
    let rows = client.query_typed(sql, &parameters).await?;
    rows.iter().map(TokenRow::from_row).collect()
}

/// Uses a token up. False if it was already.
pub(crate) async fn take(client: &Client, id: Uuid) -> Result<bool, Fault> {
    let sql = "delete from auth.one_time_tokens where id = $1";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID)]).await? == 1)
}

/// Names of those of these types that a user was sent.
pub(crate) async fn types_of_user(client: &Client, user: Uuid, types: &[&str]) -> Result<Vec<String>, Fault> {
    let sql = "select token_type::text from auth.one_time_tokens where user_id = $1 and token_type::text = any ($2)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&user, Type::UUID), (&types, Type::TEXT_ARRAY)];
    let rows = client.query_typed(sql, &parameters).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Voids all of a user's tokens.
pub(crate) async fn delete_all(client: &Client, user: Uuid) -> Result<(), Fault> {
    client
        .execute_typed("delete from auth.one_time_tokens where user_id = $1", &[(&user, Type::UUID)])
        .await?;
    Ok(())
}

/// Voids a user's tokens of these types.
pub(crate) async fn delete_of_user(client: &Client, user: Uuid, types: &[&str]) -> Result<(), Fault> {
    let sql = "delete from auth.one_time_tokens where user_id = $1 and token_type::text = any ($2)";
    client.execute_typed(sql, &[(&user, Type::UUID), (&types, Type::TEXT_ARRAY)]).await?;
    Ok(())
}
