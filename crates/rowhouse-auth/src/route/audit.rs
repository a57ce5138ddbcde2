//! GET /admin/audit: the audit log of accounts, newest entries first, in GoTrue's shape.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::paging::Paging;
use crate::Auth;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::request::{Administrator, Client, Params};
use crate::store::audit_log::{self, Filter};

/// The query: which page, and of which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Query {
    /// `author:`, `action:` or `type:`, and a part of the value.
    query: Option<String>,
    page: Option<String>,
    per_page: Option<String>,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Params(asked): Params<Query>,
) -> Result<Response, Refusal> {
    let paging = Paging::read(asked.page.as_deref(), asked.per_page.as_deref())?;
    let query = asked.query.unwrap_or_default();
    let filter = filter(&query)?;
    let (limit, offset) = paging.limit_and_offset();
    let list = async move |db: &tokio_postgres::Client| audit_log::list(db, &filter, limit, offset).await;
    let operation = client.operation("auth.admin_list_audit");
    let (entries, total): (_, i64) =
        auth.control.statement(&operation, list).await.map_err(|fault: Fault| fault)?;
    let mut response = Json(entries).into_response();
    paging.describe(response.headers_mut(), "/admin/audit", &[("query", &query)], total);
    Ok(response)
}

/// As in GoTrue: a scope and what its field contains, or nothing for every entry.
fn filter(query: &str) -> Result<Filter, Refusal> {
    if query.is_empty() {
        return Ok(Filter::default());
    }
    let invalid = || Refusal::validation(format!("Invalid query scope: {query}"));
    let (scope, value) = query.split_once(':').ok_or_else(invalid)?;
    let value = Some(value.to_owned());
    match scope {
        "author" => Ok(Filter { author: value, ..Filter::default() }),
        "action" => Ok(Filter { action: value, ..Filter::default() }),
        "type" => Ok(Filter { log_type: value, ..Filter::default() }),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::filter;
    use crate::store::audit_log::Filter;

    #[test]
    fn scopes_are_gotrues_and_others_are_refused() {
        assert_eq!(filter("").unwrap(), Filter::default());
        let action = Filter { action: Some("a:b".to_owned()), ..Filter::default() };
        assert_eq!(filter("action:a:b").unwrap(), action);
        for wrong in ["action", "color:red", ":x"] {
            let refusal = filter(wrong).unwrap_err();
            assert_eq!(refusal.message, format!("Invalid query scope: {wrong}"));
        }
    }
}
