//! Whether a link that was noted down still is the link at its place. Only this finds entries that are gone from the end of a
//! chain, or a chain whose hashes somebody has computed anew.

use rowhouse_db::DbError;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::link::Link;

/// What has become of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It is there.
    Met,
    /// The link at its place has another hash.
    HashDiffers,
    /// There is no link at its place.
    Missing,
    /// It was removed after its retention: nothing can be said.
    Pruned,
}

impl Expectation {
    pub(crate) async fn of(client: &Client, link: &Link) -> Result<Self, DbError> {
        let sql = "select encode(c.hash, 'hex'), k.sequence, encode(k.hash, 'hex') from (values ($1::uuid)) as o (id)
                   left join audit.chain c on c.organization_id = o.id and c.sequence = $2
                   left join audit.checkpoints k on k.organization_id = o.id";
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&link.organization_id.0, Type::UUID), (&link.sequence, Type::INT8)];
        let row = client.query_typed_one(sql, &parameters).await?;
        let (hash, checkpoint): (Option<String>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let (hash, is_before) = match checkpoint {
            Some(sequence) if sequence == link.sequence => (row.try_get(2)?, false),
            Some(sequence) => (hash, link.sequence < sequence),
            None => (hash, false),
        };
        Ok(match hash {
            Some(hash) if hash == link.hash => Self::Met,
            Some(_) => Self::HashDiffers,
            None if is_before => Self::Pruned,
            None => Self::Missing,
        })
    }
}
