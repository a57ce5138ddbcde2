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

#[test]
fn exchanged_session_is_put_down_to_the_pooler() {
    for code in ["42P05", "26000"] {
        let text = DbError::from(refused(code)).to_string();
        assert!(text.starts_with(&format!("no ({code}): ")) && text.contains("db.direct_url"), "{text}");
    }
    assert_eq!(DbError::from(refused("42601")).to_string(), "no (42601)");
}

#[test]
fn missing_part_of_the_platform_is_a_migration_not_run() {
    let text = |code: &str, message: &str| {
        DbError::from(PgError { message: message.to_owned(), ..refused(code) }).to_string()
    };
    for (code, message) in [
        ("42P01", "relation \"auth.users\" does not exist"),
        ("42883", "function tenancy.may(uuid) does not exist"),
        ("3F000", "schema \"jobs\" does not exist"),
    ] {
        assert!(text(code, message).ends_with("run `rowhouse migrate up`"), "{message}");
    }
    for message in ["relation \"public.users\" does not exist", "relation \"auth\" does not exist"] {
        assert_eq!(text("42P01", message), format!("{message} (42P01)"));
    }
}
