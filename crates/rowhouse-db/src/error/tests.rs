use super::*;

fn refused(code: &str) -> PgError {
    PgError { code: code.to_owned(), message: "no".to_owned(), ..PgError::default() }
}

#[test]
fn unavailability_keeps_the_server_s_error() {
    for code in ["08006", "57P01", "53300"] {
        let error = DbError::from(refused(code));
        let cause = error.source().and_then(|source| source.downcast_ref::<PgError>());
        assert_eq!(cause.map(|cause| cause.code.as_str()), Some(code), "{error:?}");
        assert_eq!(error.to_string(), format!("database unavailable: no ({code})"));
    }
    assert_eq!(DbError::from(refused("23505")).code(), Some("23505"));
}

#[test]
fn reason_without_a_source_has_no_cause() {
    assert!(DbError::Protocol("no row".into()).source().is_none());
}

#[test]
fn message_in_logs_has_a_bounded_length() {
    let error = PgError { message: "é".repeat(5000), ..refused("22P02") };
    assert_eq!(error.to_string(), format!("{} (22P02)", "é".repeat(500)));
}
