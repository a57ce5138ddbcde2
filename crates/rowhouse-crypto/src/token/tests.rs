use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Parts, TokenError, TokenSource, VerifiedToken};
use crate::base64url::encode;

const NOW: i64 = 1_800_000_000;

fn read(header: &str, claims: &str, source: TokenSource) -> Result<VerifiedToken, TokenError> {
    let token = format!("{}.{}.{}", encode(header), encode(claims), encode("signature"));
    Parts::parse(&token)?.claims(source, OffsetDateTime::from_unix_timestamp(NOW).unwrap())
}

fn access(claims: &Value) -> Result<VerifiedToken, TokenError> {
    read(r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, &claims.to_string(), TokenSource::Access)
}

#[test]
fn token_is_refused_from_exp_on() {
    let token = access(&json!({ "exp": NOW + 1 })).unwrap();
    assert_eq!(token.expires_at.unwrap().unix_timestamp(), NOW + 1);
    assert_eq!(access(&json!({ "exp": NOW })).unwrap_err(), TokenError::Expired);
    assert_eq!(access(&json!({ "exp": NOW as f64 - 0.5 })).unwrap_err(), TokenError::Expired);
}

#[test]
fn access_token_needs_exp_and_api_key_does_not() {
    assert_eq!(access(&json!({})).unwrap_err(), TokenError::MissingClaim("exp"));
    assert!(read(r#"{"alg":"ES256"}"#, "{}", TokenSource::Api).unwrap().expires_at.is_none());
}

#[test]
fn clocks_may_differ_by_thirty_seconds() {
    for (name, error) in [("nbf", TokenError::NotYetValid), ("iat", TokenError::IssuedAhead)] {
        assert!(access(&json!({ "exp": NOW + 60, name: NOW + 30 })).is_ok());
        assert_eq!(access(&json!({ "exp": NOW + 60, name: NOW + 31 })).unwrap_err(), error);
    }
    for source in [TokenSource::Legacy, TokenSource::External] {
        let ended = |ago: i64| read(r#"{"alg":"HS256"}"#, &json!({ "exp": NOW - ago }).to_string(), source);
        assert_eq!(ended(29).unwrap().expires_at.unwrap().unix_timestamp(), NOW + 1);
        assert_eq!(ended(30).unwrap_err(), TokenError::Expired);
    }
}

#[test]
fn clock_claims_must_be_numbers() {
    assert_eq!(access(&json!({ "exp": "soon" })).unwrap_err(), TokenError::NotANumber("exp"));
    let nbf = access(&json!({ "exp": NOW + 1, "nbf": true })).unwrap_err();
    assert_eq!(nbf, TokenError::NotANumber("nbf"));
    assert_eq!(access(&json!({ "exp": null })).unwrap_err(), TokenError::MissingClaim("exp"));
}

#[test]
fn far_future_exp_counts_as_none_without_panic() {
    assert!(access(&json!({ "exp": 1e300 })).unwrap().expires_at.is_none());
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    for header in [
        r#"{"alg":"ES256","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","crit":["exp"]}"#,
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":7}"#,
        r#"{"kid":"k"}"#,
        "[]",
        "{",
    ] {
        assert_eq!(read(header, "{}", TokenSource::Api).unwrap_err(), TokenError::Malformed, "{header}");
    }
}

#[test]
fn payload_must_be_one_json_object() {
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(3000), "]".repeat(3000));
    for claims in ["[]", "1", "", "{} {}", &nested] {
        assert_eq!(read(r#"{"alg":"ES256"}"#, claims, TokenSource::Api).unwrap_err(), TokenError::Malformed);
    }
}

#[test]
fn audience_is_a_text_or_a_list() {
    let token = |aud: Value| access(&json!({ "exp": NOW + 1, "aud": aud })).unwrap();
    assert!(token(json!("authenticated")).has_audience("authenticated"));
    assert!(token(json!(["x", "authenticated"])).has_audience("authenticated"));
    assert!(!token(json!("other")).has_audience("authenticated"));
    assert!(!token(json!({ "authenticated": 1 })).has_audience("authenticated"));
}

#[test]
fn wrong_number_of_parts_is_reported() {
    for (token, parts) in [("", 1), ("a", 1), ("a.b", 2), ("a.b.c.d", 4)] {
        assert_eq!(Parts::parse(token).err(), Some(TokenError::Parts(parts)), "{token}");
    }
}
