//! `auth.captured_messages`: messages that nobody delivers, for development.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::fault::Fault;

/// Messages kept: older ones are forgotten.
const MOST: i64 = 100;

/// A message to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) phone: String,
    pub(crate) channel: &'static str,
    pub(crate) body: String,
}

/// Keeps a message in place of the oldest one. Returns its id.
pub(crate) async fn insert(client: &Client, new: &NewMessage, now: OffsetDateTime) -> Result<i64, Fault> {
    let sql = "with surplus as (
                 delete from auth.captured_messages where id = any (array(
                   select c.id from auth.captured_messages c order by c.id desc offset $5))
               )
               insert into auth.captured_messages (phone, channel, body, sent_at) values ($1, $2, $3, $4) returning id";
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&new.phone, Type::TEXT),
        (&new.channel, Type::TEXT),
        (&new.body, Type::TEXT),
        (&now, Type::TIMESTAMPTZ),
        (&(MOST - 1), Type::INT8),
    ];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
