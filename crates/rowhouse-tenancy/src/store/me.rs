//! What a launcher shows of its user, in one statement.

use rowhouse_db::DbError;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Bound;

/// Most items of each list of the answer.
pub(crate) const MOST_LISTED: i64 = 200;

/// The user, where he is a member, what he may use, and which operator he is; nulls and empty lists without a user.
pub(crate) async fn find(
    client: &Client,
    user: Option<Uuid>,
    session: Option<Uuid>,
) -> Result<Value, DbError> {
    let sql = include_str!("../../sql/me.sql");
    let parameters: [Bound<'_>; 3] =
        [(&user, Type::UUID), (&MOST_LISTED, Type::INT8), (&session, Type::UUID)];
    let row = client.query_typed_one(sql, &parameters).await?;
    Ok(row.try_get(0)?)
}
