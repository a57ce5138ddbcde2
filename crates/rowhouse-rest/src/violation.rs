//! `rls_violations_total`: requests that were refused because of who sent them, by kind, relation and verb. Rows that a policy
//! hides are not among them: a read or write that finds none looks like one of rows that do not exist.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use rowhouse_crypto::TokenError;
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::{DbError, PgError};

use crate::error::{Error, is_policy_violation, is_raised};

/// Distinct (table, verb) of a kind that are counted apart; beyond that the table is `other`. Each kind has its own: what a client
/// can cause in any number must not hide another kind.
const MAX_SERIES: usize = 1024;
const NAME: &str = "rls_violations_total";
const OTHER: &str = "other";

type Kind = &'static str;
type Series = (Kind, String, &'static str);

/// The counter.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    known: Mutex<HashMap<Kind, HashSet<(String, &'static str)>>>,
}

impl Violations {
    /// Counts nothing yet, but shows that nothing was counted.
    pub(crate) fn new() -> Self {
        // An alert on a missing series would not fire.
        add(&("policy", OTHER.to_owned(), "insert"), 0);
        Self::default()
    }

    /// Counts a failed request, if it is one of these.
    pub(crate) fn count(&self, error: &Error, head: &Parts, snapshot: Option<&Snapshot>) {
        let Some(kind) = kind(error) else { return };
        let path = head.uri.path();
        let verb = verb(&head.method, path);
        let table = table(head, path, snapshot).unwrap_or_else(|| OTHER.to_owned());
        add(&self.bounded((kind, table, verb)), 1);
    }

    fn bounded(&self, (kind, table, verb): Series) -> Series {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = known.entry(kind).or_default();
        let series = (table, verb);
        if !of_kind.contains(&series) {
            if of_kind.len() >= MAX_SERIES {
                return (kind, OTHER.to_owned(), verb);
            }
            of_kind.insert(series.clone());
        }
        (kind, series.0, verb)
    }
}

fn add((kind, table, verb): &Series, by: u64) {
    metrics::counter!(NAME, "kind" => *kind, "table" => table.clone(), "verb" => *verb).increment(by);
}

fn kind(error: &Error) -> Option<Kind> {
    match error {
        Error::Database(DbError::Refused(refusal), _) => of_refusal(refusal),
        Error::Import(error, ..) | Error::NoRole(error) => kind(error),
        // Clients present expired tokens whenever they were asleep.
        Error::Token(TokenError::Expired) => None,
        Error::Token(_) => Some("token"),
        _ => None,
    }
}

fn of_refusal(refusal: &PgError) -> Option<Kind> {
    match refusal.code.as_str() {
        "RH401" => Some("session"),
        "RH403" => Some("tenant"),
        "42501" if is_policy_violation(refusal) => Some("policy"),
        "42501" if is_raised(refusal) => Some("raised"),
        "42501" => Some("grant"),
        _ => None,
    }
}

fn verb(method: &Method, path: &str) -> &'static str {
    match method.as_str() {
        _ if path.starts_with("/rpc/") => "call",
        "GET" | "HEAD" => "select",
        "POST" => "insert",
        "PUT" => "upsert",
        "PATCH" => "update",
        "DELETE" => "delete",
        _ => OTHER,
    }
}

/// The relation, if the schema has it: never what a client made up.
fn table(head: &Parts, path: &str, snapshot: Option<&Snapshot>) -> Option<String> {
    if path.starts_with("/rpc/") {
        return Some("rpc".to_owned());
    }
    let snapshot = snapshot?;
    let profile = match head.method.as_str() {
        "GET" | "HEAD" => "accept-profile",
        _ => "content-profile",
    };
    let asked = head.headers.get(profile).and_then(|value| value.to_str().ok());
    let schema = asked.or_else(|| snapshot.schemas().first().map(String::as_str))?;
    let name: Cow<'_, str> = percent_decode_str(path.trim_matches('/')).decode_utf8().ok()?;
    let known = snapshot.table(schema, &name)?;
    Some(format!("{}.{}", known.name.schema, known.name.name))
}

#[cfg(test)]
mod tests;
