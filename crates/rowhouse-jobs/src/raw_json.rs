//! JSON exchanged with PostgreSQL as text, without parsing its numbers.

use bytes::{BufMut, BytesMut};
use rowhouse_db::DbError;
use serde::Serialize;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// The version that begins PostgreSQL's binary jsonb.
const JSONB_VERSION: u8 = 1;

/// A jsonb as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawJson(pub(crate) String);

impl RawJson {
    /// Serializes `value`.
    pub(crate) fn write(value: &impl Serialize) -> Result<Self, DbError> {
        serde_json::to_string(value).map(Self).map_err(|error| DbError::Protocol(error.to_string().into()))
    }
}

impl FromSql<'_> for RawJson {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        let text = raw.strip_prefix(&[JSONB_VERSION]).ok_or("an unknown version of jsonb")?;
        Ok(Self(std::str::from_utf8(text)?.to_owned()))
    }

    accepts!(JSONB);
}

impl ToSql for RawJson {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}
