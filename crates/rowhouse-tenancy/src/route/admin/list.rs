//! Parameters of lists of organizations and tenants.

use rowhouse_http::api::{Cursor, Problem, limit};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::MOST_LISTED;
use crate::store::search::Search;

/// Longest text that is searched for, in bytes.
const MAX_TEXT: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The beginning of a name or a slug, in any case, or an id.
    q: Option<String>,
    /// `trial`, `active`, `suspended`, `cancelled`, `deleted` or `erased`.
    status: Option<LifeStatus>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LifeStatus {
    Trial,
    Active,
    Suspended,
    Cancelled,
    Deleted,
    Erased,
}

impl LifeStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
            Self::Erased => "erased",
        }
    }
}

impl TryFrom<ListQuery> for Search {
    type Error = Problem;

    fn try_from(query: ListQuery) -> Result<Self, Problem> {
        if query.q.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(Problem::malformed(format!("q: at most {MAX_TEXT} bytes")));
        }
        Ok(Self {
            text: query.q.filter(|text| !text.is_empty()),
            status: query.status.map(|status| status.name().to_owned()),
            after: query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?,
            limit: limit(query.limit, MOST_LISTED)?,
        })
    }
}
