use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};
use rowhouse_crypto::{Algorithm, Key, KeyPair, KeyRing, Purpose, Status, TokenError, TrustedKeys};
use rowhouse_kernel::{Caller, FakeClock, Secret};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{CallerResolver, ForeignTokens, Identity};

const NOW: i64 = 1_800_000_000;

/// A resolver that accepts `issuer`'s access key as an external key.
fn resolver(issuer: &KeyRing, foreign: &ForeignTokens) -> CallerResolver {
    let jwk = issuer.jwks().keys.iter().find(|jwk| jwk.kid == issuer.signing_kid(Purpose::Access)).unwrap();
    let secret = Secret::new(serde_json::to_string(jwk).unwrap());
    let ring = ring(Some(TrustedKeys::read(&secret, false).unwrap()));
    let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap());
    CallerResolver::new(Arc::new(ArcSwap::from_pointee(ring)), foreign.clone(), clock)
}

fn ring(trusted: Option<TrustedKeys>) -> KeyRing {
    let key =
        |purpose| Key::new(KeyPair::generate(Algorithm::Es256).unwrap(), purpose, Status::Signing).unwrap();
    KeyRing::new(vec![key(Purpose::Access), key(Purpose::Api)], trusted).unwrap()
}

fn resolve(foreign: &ForeignTokens, claims: &Value) -> Result<Caller, TokenError> {
    let issuer = ring(None);
    let token = issuer.sign(claims, Purpose::Access).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    resolver(&issuer, foreign).resolve(&headers).caller().map(|caller| (**caller).clone()).map_err(|e| *e)
}

fn path(path: &str) -> ForeignTokens {
    ForeignTokens::new(None, path).unwrap()
}

#[test]
fn external_token_needs_no_session_and_acts_under_its_role() {
    let caller =
        resolve(&ForeignTokens::default(), &json!({ "role": "web_user", "sub": "auth0|1" })).unwrap();
    assert_eq!((&*caller.role, caller.user, caller.session), ("web_user", None, None));
}

#[test]
fn role_found_by_its_path_is_set_in_the_claims() {
    let claims = json!({ "role": "other", "app": { "roles": ["web_user"] } });
    for foreign in [path("$.app.roles[0]"), path(".app.roles[0]")] {
        let caller = resolve(&foreign, &claims).unwrap();
        let claims: Value = serde_json::from_str(&caller.claims).unwrap();
        assert_eq!((&*caller.role, &claims["role"]), ("web_user", &json!("web_user")));
    }
    assert_eq!(&*resolve(&path("$.none"), &claims).unwrap().role, "anon");
    assert_eq!(resolve(&path("$.app"), &claims), Err(TokenError::ForbiddenRole));
}

#[test]
fn external_issuer_never_gives_service_role() {
    let plain = resolve(&ForeignTokens::default(), &json!({ "role": "service_role" }));
    assert_eq!(plain, Err(TokenError::ForbiddenRole));
    let by_path = resolve(&path("$.meta.role"), &json!({ "meta": { "role": "service_role" } }));
    assert_eq!(by_path, Err(TokenError::ForbiddenRole));
}

#[test]
fn administrators_of_either_name_come_from_public_keys_only_where_these_are_trusted() {
    for role in ["service_role", "supabase_admin"] {
        let claims = json!({ "role": role, "sub": "1234567890" });
        assert_eq!(resolve(&ForeignTokens::default(), &claims), Err(TokenError::ForbiddenRole), "{role}");
        let trusting = ForeignTokens::default().trusting_public_keys(true);
        assert_eq!(&*resolve(&trusting, &claims).unwrap().role, role);
        let by_path = path("$.app.role").trusting_public_keys(true);
        let claims = json!({ "role": "authenticated", "app": { "role": role } });
        assert_eq!(resolve(&by_path, &claims), Err(TokenError::ForbiddenRole), "{role}");
    }
}

#[test]
fn external_token_for_authenticated_must_name_an_existing_user() {
    let claims = json!({ "role": "authenticated", "sub": "auth0|1" });
    assert_eq!(resolve(&ForeignTokens::default(), &claims), Err(TokenError::NotAUuid("sub")));
}

#[test]
fn audience_is_checked_for_foreign_tokens_that_name_one() {
    let foreign = ForeignTokens::new(Some("us"), "$.role").unwrap();
    for aud in [json!("us"), json!(["x", "us"]), json!([]), Value::Null] {
        assert!(resolve(&foreign, &json!({ "role": "r", "aud": aud })).is_ok(), "{aud}");
    }
    for aud in [json!("them"), json!(""), json!(["them"])] {
        let caller = resolve(&foreign, &json!({ "role": "r", "aud": aud }));
        assert_eq!(caller, Err(TokenError::WrongAudience), "{aud}");
        assert!(resolve(&ForeignTokens::default(), &json!({ "role": "r", "aud": aud })).is_ok(), "{aud}");
    }
    for aud in [json!({}), json!([1, "us"]), json!(7)] {
        let caller = resolve(&ForeignTokens::default(), &json!({ "role": "r", "aud": aud }));
        assert_eq!(caller, Err(TokenError::BadAudience), "{aud}");
    }
}

#[test]
fn own_tokens_ignore_role_path_and_audience() {
    let foreign = ForeignTokens::new(Some("us"), "$.user_metadata.role").unwrap();
    let ours = ring(None);
    let id = "0198d5a1-0000-7000-8000-000000000001";
    let claims = json!({
        "role": "authenticated", "sub": id, "session_id": id, "exp": NOW + 60, "aud": "authenticated",
        "user_metadata": { "role": "service_role" },
    });
    let token = ours.sign(&claims, Purpose::Access).unwrap();
    let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap());
    let resolver = CallerResolver::new(Arc::new(ArcSwap::from_pointee(ours)), foreign, clock);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    assert_eq!(&*resolver.resolve(&headers).caller().unwrap().role, "authenticated");
}

#[test]
fn present_authorization_decides_and_never_falls_back_to_a_service_key() {
    let ours = ring(None);
    let key = |role: &str| ours.sign(&json!({ "role": role, "exp": NOW + 60 }), Purpose::Api).unwrap();
    let (anon, service) = (key("anon"), key("service_role"));
    let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap());
    let resolver =
        CallerResolver::new(Arc::new(ArcSwap::from_pointee(ours)), ForeignTokens::default(), clock);
    let role = |authorization: Option<&[u8]>, apikey: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("apikey", HeaderValue::from_str(apikey).unwrap());
        if let Some(value) = authorization {
            headers.insert("authorization", HeaderValue::from_bytes(value).unwrap());
        }
        resolver.resolve(&headers).caller().map(|caller| caller.role.to_string()).map_err(|error| *error)
    };
    assert_eq!(role(None, &service).as_deref(), Ok("service_role"));
    assert_eq!(role(None, "").as_deref(), Ok("anon"));
    for (value, refusal) in [
        (&b"Bearer "[..], TokenError::Empty),
        (b"Bearer", TokenError::Empty),
        (b"", TokenError::Malformed),
        (b"x", TokenError::Malformed),
        (b"Basic abc", TokenError::Malformed),
        (b"Bearer \xff", TokenError::Malformed),
    ] {
        assert_eq!(role(Some(value), &service), Err(refusal), "{value:?}");
        assert_eq!(role(Some(value), ""), Err(refusal), "{value:?}");
        assert_eq!(role(Some(value), &anon).as_deref(), Ok("anon"), "{value:?}");
    }
}

#[test]
fn of_several_credentials_none_counts() {
    let ours = ring(None);
    let token = |role: &str| ours.sign(&json!({ "role": role, "exp": NOW + 60 }), Purpose::Api).unwrap();
    let (anon, service) = (token("anon"), token("service_role"));
    let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap());
    let resolver =
        CallerResolver::new(Arc::new(ArcSwap::from_pointee(ours)), ForeignTokens::default(), clock);
    let twice = |name: &'static str, values: [String; 2]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(&value).unwrap());
        }
        resolver.resolve(&headers).caller().map(|caller| caller.role.to_string()).map_err(|error| *error)
    };
    let bearers = [format!("Bearer {service}"), format!("Bearer {anon}")];
    assert_eq!(twice("authorization", bearers), Err(TokenError::Malformed));
    assert_eq!(twice("apikey", [service, anon]).as_deref(), Ok("anon"));
}

#[test]
fn membership_claims_of_other_issuers_are_ignored() {
    let id = "0198d5a1-0000-7000-8000-000000000001";
    let claims =
        json!({ "role": "authenticated", "sub": id, "tenant_id": id, "org_id": id, "tenant_role": "owner" });
    let caller = resolve(&ForeignTokens::default(), &claims).unwrap();
    let claims: Value = serde_json::from_str(&caller.claims).unwrap();
    assert_eq!(
        (claims.get("org_id"), claims.get("tenant_role"), &claims["tenant_id"]),
        (None, None, &json!(id))
    );
    assert_eq!(
        (caller.organization, caller.tenant.map(|tenant| tenant.to_string())),
        (None, Some(id.to_owned()))
    );
}

#[test]
fn api_key_is_told_by_its_beginning_and_is_no_caller_before_it_is_looked_up() {
    let key = rowhouse_crypto::ApiKey::generate(&*rowhouse_kernel::SeededRng::new(7));
    let resolver = resolver(&ring(None), &ForeignTokens::default());
    let resolve = |name: &'static str, value: &str| {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )]);
        resolver.resolve(&headers)
    };
    for identity in
        [resolve("authorization", &format!("Bearer {}", key.expose())), resolve("apikey", key.expose())]
    {
        assert!(matches!(identity, Identity::ApiKey(_)), "{identity:?}");
        assert_eq!(identity.caller().unwrap_err(), &TokenError::MisplacedApiKey);
        assert!(!format!("{identity:?}").contains(key.expose()));
    }
    for wrong in ["rhk_", "rhk_short", &format!("{}A", key.expose())] {
        let identity = resolve("authorization", &format!("Bearer {wrong}"));
        assert_eq!(identity.caller().unwrap_err(), &TokenError::UnknownApiKey, "{wrong}");
    }
}

/// As a service key: a proxy that forwards a visitor's `Authorization` gives him none of its own rights.
#[test]
fn api_key_beside_another_authorization_does_not_count() {
    let key = rowhouse_crypto::ApiKey::generate(&*rowhouse_kernel::SeededRng::new(7));
    let mut headers = HeaderMap::new();
    headers.insert("apikey", HeaderValue::from_str(key.expose()).unwrap());
    headers.insert("authorization", HeaderValue::from_static("Basic eA=="));
    let identity = resolver(&ring(None), &ForeignTokens::default()).resolve(&headers);
    assert_eq!(identity.caller().unwrap_err(), &TokenError::Malformed);
}
