//! Links of the chains.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;

use futures_util::{Stream, StreamExt};
use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// The chain of entries that concern no organization.
pub const WITHOUT_ORGANIZATION: OrganizationId = OrganizationId(Uuid::nil());
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A link: `ORGANIZATION:SEQUENCE:HASH` as people keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The chain.
    pub organization_id: OrganizationId,
    /// The place in it, from 1.
    pub sequence: i64,
    /// The hash, in lower-case hexadecimal.
    pub hash: String,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.organization_id, self.sequence, self.hash)
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected ORGANIZATION:SEQUENCE:HASH, found \"{text:.120}\"");
        let mut parts = text.trim().splitn(3, ':');
        let mut part = || parts.next().ok_or_else(wrong);
        let organization_id = part()?.parse().map_err(|_| wrong())?;
        let sequence = part()?.parse().map_err(|_| wrong())?;
        let hash = part()?.to_ascii_lowercase();
        if hash.len() != 2 * HASH_BYTES || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        Ok(Self { organization_id, sequence, hash })
    }
}

impl Link {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            organization_id: OrganizationId(row.try_get(0)?),
            sequence: row.try_get(1)?,
            hash: row.try_get(2)?,
        })
    }
}

/// The newest link of each chain, or of one, as a stream: there may be many.
///
/// # Errors
/// The database's.
pub async fn newest_links(
    client: &Client,
    only: Option<OrganizationId>,
) -> Result<Pin<Box<dyn Stream<Item = Result<Link, DbError>> + Send>>, DbError> {
    let sql = "select c.id, n.sequence, encode(n.hash, 'hex')
               from audit.chains() c (id) cross join lateral audit.newest_link(c.id) n
               where $1::uuid is null or c.id = $1";
    let only = only.map(|only| only.0);
    let rows = client.query_typed_raw(sql, [(only, Type::UUID)]).await?;
    Ok(Box::pin(rows.map(|row| Link::from_row(&row?))))
}

#[cfg(test)]
mod tests {
    use super::Link;

    #[test]
    fn link_is_read_as_it_is_written_and_nothing_else_is() {
        let hash = "0123456789abcdef".repeat(4);
        let text = format!("00000000-0000-0000-0000-000000000000:7:{hash}");
        assert_eq!(text.parse::<Link>().unwrap().to_string(), text);
        for wrong in
            ["", "7", "x:7:00", &text.replace(":7:", ":x:"), &text[..text.len() - 1], &format!("{text}g")]
        {
            assert!(wrong.parse::<Link>().is_err(), "{wrong}");
        }
    }
}
