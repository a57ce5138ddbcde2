use http::Request;
use rowhouse_crypto::TokenError;
use rowhouse_db::catalog::{Column, QualifiedName, Snapshot, Table};
use rowhouse_db::{DbError, PgError};

use super::{MAX_SERIES, Violations, kind, table, verb};
use crate::error::Error;

fn refused(code: &str, routine: &str) -> Error {
    let refusal = PgError { code: code.to_owned(), routine: Some(routine.to_owned()), ..PgError::default() };
    Error::Database(DbError::Refused(refusal.into()), true)
}

#[test]
fn kinds_tell_who_refused() {
    let cases = [
        (refused("42501", "ExecWithCheckOptions"), Some("policy")),
        (refused("42501", "aclcheck_error"), Some("grant")),
        (refused("42501", "exec_stmt_raise"), Some("raised")),
        (refused("RH401", "exec_stmt_raise"), Some("session")),
        (refused("RH403", "exec_stmt_raise"), Some("tenant")),
        (refused("23505", "_bt_check_unique"), None),
        (Error::Token(TokenError::BadSignature), Some("token")),
        (Error::Token(TokenError::Expired), None),
        (Error::NoSnapshot, None),
    ];
    for (error, expected) in cases {
        assert_eq!(kind(&error), expected, "{error:?}");
    }
}

#[test]
fn only_names_of_the_schema_become_labels() {
    let todos = Table {
        name: QualifiedName::new("public", "to dos"),
        columns: vec![Column::new("id", "int4")],
        ..Table::default()
    };
    let snapshot = Snapshot::new(&["public".to_owned()], vec![todos], Vec::new(), &[]);
    let of = |method: &str, path: &str, profile: &str| {
        let request = Request::builder().method(method).uri(path).header("content-profile", profile);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let table = table(&head, head.uri.path(), Some(&snapshot));
        (table, verb(&head.method, head.uri.path()))
    };
    let known = Some("public.to dos".to_owned());
    assert_eq!(of("GET", "/to%20dos?id=eq.1", "other"), (known.clone(), "select"));
    assert_eq!(of("PATCH", "/to%20dos", "public"), (known, "update"));
    assert_eq!(of("PATCH", "/to%20dos", "other"), (None, "update"));
    assert_eq!(of("DELETE", "/secret-value", "public"), (None, "delete"));
    assert_eq!(of("POST", "/rpc/secret-value", "public"), (Some("rpc".to_owned()), "call"));
}

#[test]
fn number_of_series_is_bounded_for_each_kind_by_itself() {
    let violations = Violations::default();
    let series = |kind, at: usize| violations.bounded((kind, format!("public.t{at}"), "select"));
    (0..MAX_SERIES).for_each(|at| assert_eq!(series("grant", at).1, format!("public.t{at}")));
    assert_eq!(series("grant", MAX_SERIES), ("grant", "other".to_owned(), "select"));
    assert_eq!(series("grant", 1).1, "public.t1");
    assert_eq!(series("policy", MAX_SERIES), ("policy", format!("public.t{MAX_SERIES}"), "select"));
}
