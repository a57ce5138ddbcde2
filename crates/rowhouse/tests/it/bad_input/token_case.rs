//! Tokens that must be refused, on both surfaces.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use rowhouse_crypto::Purpose;
use serde_json::{Value, json};

use super::Case;
use crate::support::{SignedIn, TestApp, claims};

pub(super) fn cases(app: &TestApp, user: &SignedIn) -> Vec<Case> {
    let mut all = Vec::new();
    let tokens = [unbelievable(app, user), resigned(app, user), mangled(user)].concat();
    for (name, token) in &tokens {
        let bearer = || format!("Bearer {token}");
        for (method, path) in [
            (Method::GET, "/rest/v1/todos"),
            (Method::DELETE, "/rest/v1/todos?id=gt.0"),
            (Method::POST, "/rest/v1/rpc/add"),
        ] {
            let case = Case::new(&format!("{name} on the data API"), method, path)
                .header("authorization", bearer())
                .body(r#"{"a":1,"b":2}"#);
            all.push(Case { status: Some(401), ..case });
        }
        for (method, path) in [
            (Method::GET, "/auth/v1/user"),
            (Method::PUT, "/auth/v1/user"),
            (Method::GET, "/auth/v1/admin/users"),
        ] {
            let case = Case::new(&format!("{name} on identity"), method, path)
                .header("authorization", bearer())
                .body(r#"{"data":{"a":1}}"#);
            all.push(Case { status: Some(403), ..case });
        }
        all.push(
            Case::new(&format!("{name} as key"), Method::GET, "/rest/v1/todos")
                .header("authorization", "")
                .header("apikey", token.clone()),
        );
    }
    for (name, value) in
        [("nothing", ""), ("empty bearer", "Bearer "), ("bare bearer", "Bearer"), ("basic", "Basic YTpi")]
    {
        all.push(
            Case::new(&format!("{name} on the data API"), Method::GET, "/rest/v1/todos")
                .header("authorization", value),
        );
        all.push(
            Case::new(&format!("{name} on identity"), Method::GET, "/auth/v1/user")
                .header("authorization", value),
        );
    }
    all.push(
        Case::new("bytes as bearer", Method::GET, "/rest/v1/todos")
            .header("authorization", b"Bearer \xff\xfe".to_vec()),
    );
    all.push(
        Case::new("bytes as bearer", Method::GET, "/auth/v1/user")
            .header("authorization", b"Bearer \xff\xfe".to_vec()),
    );
    all
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(token)[0]).unwrap()).unwrap()
}

/// Signed with the key's public half as if it were a shared secret.
fn with_hmac(head: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = format!("{}.{}", encode(head), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Tokens not signed with a valid key.
fn unbelievable(app: &TestApp, user: &SignedIn) -> Vec<(String, String)> {
    let (head, claims) = (header(&user.token), claims(&user.token));
    let [first, second, third] = parts(&user.token);
    let service = json!({ "role": "service_role", "exp": 4_102_444_800_i64 });
    let ring = app.keys.ring();
    let jwk = ring.jwks().keys.iter().find(|key| head["kid"] == key.kid.as_str()).unwrap();
    let jwk_text = serde_json::to_string(jwk).unwrap();
    let point = [
        URL_SAFE_NO_PAD.decode(jwk.x.as_ref().unwrap()).unwrap(),
        URL_SAFE_NO_PAD.decode(jwk.y.as_ref().unwrap()).unwrap(),
    ]
    .concat();
    let symmetric = |kid: bool| {
        let mut head = json!({ "alg": "HS256", "typ": "JWT" });
        if kid {
            head["kid"] = json!(jwk.kid);
        }
        head
    };
    let headed = |change: Value| {
        let mut head = head.clone();
        head.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        format!("{}.{second}.{third}", encode(&head))
    };
    let mut without_kid = head.clone();
    without_kid.as_object_mut().unwrap().remove("kid");
    let named = [
        ("forged claims", format!("{first}.{}.{third}", encode(&service))),
        (
            "forged user",
            format!(
                "{first}.{}.{third}",
                encode(&json!({ "sub": user.id, "role": "authenticated", "exp": claims["exp"] }))
            ),
        ),
        ("alg none", format!("{}.{second}.", encode(&json!({ "alg": "none", "typ": "JWT" })))),
        (
            "alg none and a kid",
            format!("{}.{second}.", encode(&json!({ "alg": "none", "kid": head["kid"] }))),
        ),
        ("alg None", format!("{}.{second}.{third}", encode(&json!({ "alg": "None", "kid": head["kid"] })))),
        ("public key as secret", with_hmac(&symmetric(true), &claims, &point)),
        ("public key as secret without kid", with_hmac(&symmetric(false), &claims, &point)),
        ("public JWK as secret", with_hmac(&symmetric(true), &service, jwk_text.as_bytes())),
        ("empty secret", with_hmac(&symmetric(false), &service, b"")),
        ("wrong kid", headed(json!({ "kid": "nobody" }))),
        ("kid that is a path", headed(json!({ "kid": "../../dev/null" }))),
        ("kid that is SQL", headed(json!({ "kid": "' or 1=1 --" }))),
        ("missing kid", format!("{}.{second}.{third}", encode(&without_kid))),
        ("another algorithm", headed(json!({ "alg": "RS256" }))),
        ("critical extension", headed(json!({ "crit": ["b64"], "b64": false }))),
        ("key brought along", headed(json!({ "jwk": serde_json::to_value(jwk).unwrap(), "kid": "mine" }))),
    ];
    named.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}

/// Tokens with a valid signature and invalid claims.
fn resigned(app: &TestApp, user: &SignedIn) -> Vec<(String, String)> {
    let good = claims(&user.token);
    let ring = app.keys.ring();
    let (iat, exp) = (good["iat"].as_i64().unwrap(), good["exp"].as_i64().unwrap());
    let sign = |name: &str, change: Value| {
        let mut claims = good.clone();
        let map = claims.as_object_mut().unwrap();
        map.extend(change.as_object().unwrap().clone());
        map.retain(|_, value| !value.is_null());
        (name.to_owned(), ring.sign(&claims, Purpose::Access).unwrap())
    };
    vec![
        sign("expired", json!({ "exp": iat - 1 })),
        sign("expired long ago", json!({ "exp": 1 })),
        sign("without end", json!({ "exp": null })),
        sign("end that is text", json!({ "exp": "tomorrow" })),
        sign("not valid yet", json!({ "nbf": exp })),
        sign("issued in the future", json!({ "iat": exp })),
        sign("without session", json!({ "session_id": null })),
        sign("without subject", json!({ "sub": null })),
        sign("session that is no id", json!({ "session_id": "x" })),
    ]
}

fn mangled(user: &SignedIn) -> Vec<(String, String)> {
    let [first, second, third] = parts(&user.token);
    let named = [
        ("garbage", "garbage".to_owned()),
        ("two parts", format!("{first}.{second}")),
        ("four parts", format!("{first}.{second}.{third}.x")),
        ("empty parts", "..".to_owned()),
        ("cut short", user.token[..user.token.len() - 8].to_owned()),
        ("with garbage behind", format!("{}AAAA", user.token)),
        ("with a space", format!("{first} .{second}.{third}")),
        ("padded", format!("{first}=.{second}.{third}==")),
        ("not JSON", format!("{}.{}.{third}", URL_SAFE_NO_PAD.encode("nonsense"), second)),
        ("9 KiB", "a".repeat(9 * 1024)),
        ("9 KiB in three parts", format!("{first}.{}.{third}", "a".repeat(9 * 1024))),
        ("deep header", format!("{}.{second}.{third}", URL_SAFE_NO_PAD.encode("[".repeat(3000)))),
    ];
    named.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}
