//! Bad requests to the identity surface.

use reqwest::Method;
use serde_json::json;

use super::{BODY_LIMIT, Case};
use crate::support::{SignedIn, TestApp};

const SIGNUP: &str = "/auth/v1/signup";
const PASSWORD: &str = "/auth/v1/token?grant_type=password";
const REFRESH: &str = "/auth/v1/token?grant_type=refresh_token";
const DEEP: usize = 20_000;

pub(super) fn cases(app: &TestApp, user: &SignedIn) -> Vec<Case> {
    [documents(), sign_ups(), grants(), accounts(), administration(app, user), paths()]
        .into_iter()
        .flatten()
        .collect()
}

/// The same malformed documents for every route that accepts one.
fn documents() -> Vec<Case> {
    let mut all = Vec::new();
    for (method, path) in [
        (Method::POST, SIGNUP),
        (Method::POST, PASSWORD),
        (Method::POST, REFRESH),
        (Method::PUT, "/auth/v1/user"),
        (Method::POST, "/auth/v1/tenant"),
    ] {
        for (name, body) in [
            ("empty", Vec::new()),
            ("truncated", br#"{"email":"x@exa"#.to_vec()),
            ("trailing garbage", br#"{"email":"x@example.com","password":"long enough"} x"#.to_vec()),
            ("scalar", b"5".to_vec()),
            ("list", b"[1]".to_vec()),
            ("text", b"\"x\"".to_vec()),
            ("wrong types", br#"{"email":5,"password":[],"refresh_token":{},"tenant_id":7}"#.to_vec()),
            ("invalid UTF-8", b"{\"email\":\"\xff\",\"password\":\"\xff\"}".to_vec()),
            ("deep lists", "[".repeat(DEEP).into_bytes()),
            (
                "deep data",
                format!("{{\"data\":{}1{}}}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)).into_bytes(),
            ),
        ] {
            all.push(Case::new(&format!("{name} to {path}"), method.clone(), path).body(body));
        }
        let large = format!("{{\"email\":\"{}\"}}", "x".repeat(BODY_LIMIT as usize));
        all.push(
            Case::new(&format!("too large to {path}"), method.clone(), path)
                .body(large)
                .is(413, "request_entity_too_large"),
        );
    }
    all
}

fn sign_ups() -> Vec<Case> {
    let case =
        |name: &str, body: serde_json::Value| Case::new(name, Method::POST, SIGNUP).body(body.to_string());
    let email = |address: &str| {
        case(&format!("address {address:.40}"), json!({ "email": address, "password": "long enough" }))
    };
    let mut all: Vec<Case> = [
        "x",
        "@",
        "x@",
        "@example.com",
        "x@y@z",
        "x y@example.com",
        "x@exa mple.com",
        "x@-example.com",
        "x@example..com",
        "x\0@example.com",
        "x@example.com\n",
        "<x@example.com>",
        "x@ex\u{e4}mple.com",
        "'; drop table auth.users; --@example.com",
    ]
    .into_iter()
    .map(|address| email(address).is(400, "validation_failed"))
    .collect();
    all.extend([
        email(&format!("{}@example.com", "x".repeat(300))).is(400, "validation_failed"),
        email(&format!("{}@example.com", "x".repeat(100_000))).is(400, "validation_failed"),
        case("short password", json!({ "email": "x@example.com", "password": "short" }))
            .is(422, "weak_password"),
        case("no password", json!({ "email": "x@example.com" })),
        case("empty password", json!({ "email": "x@example.com", "password": "" })),
        case("endless password", json!({ "email": "x@example.com", "password": "x".repeat(100_000) }))
            .is(400, "validation_failed"),
        case("nobody", json!({})),
        case("phone", json!({ "phone": "+49123456789", "password": "long enough" })),
        case("taken address", json!({ "email": "A@Example.com", "password": "long enough" })),
        case(
            "data that is no object",
            json!({ "email": "x@example.com", "password": "long enough", "data": [1] }),
        ),
        case(
            "NUL in data",
            json!({ "email": "x@example.com", "password": "long enough", "data": { "a": "b\0c" } }),
        ),
        case(
            "NUL as key in data",
            json!({ "email": "x@example.com", "password": "long enough", "data": { "a\0": 1 } }),
        ),
        Case::new("half a surrogate pair", Method::POST, SIGNUP)
            .body(r#"{"email":"x@example.com","password":"long enough","data":{"a":"\ud800"}}"#),
    ]);
    all
}

fn grants() -> Vec<Case> {
    let token = |name: &str, query: &str, body: serde_json::Value| {
        Case::new(name, Method::POST, &format!("/auth/v1/token{query}")).body(body.to_string())
    };
    let login = json!({ "email": "a@example.com", "password": "wrong" });
    vec![
        token("no grant", "", login.clone()),
        token("unknown grant", "?grant_type=nonsense", login.clone()).is(400, "invalid_credentials"),
        token("two grants", "?grant_type=password&grant_type=refresh_token", login.clone()),
        token("grant that is no text", "?grant_type=%ff", login.clone()),
        token("grant with NUL", "?grant_type=password%00", login.clone()),
        token("wrong password", "?grant_type=password", login).is(400, "invalid_credentials"),
        token("no address", "?grant_type=password", json!({ "password": "x" })),
        token("no password", "?grant_type=password", json!({ "email": "a@example.com" })),
        token(
            "address and phone",
            "?grant_type=password",
            json!({ "email": "a@example.com", "phone": "1", "password": "x" }),
        ),
        token(
            "address with NUL",
            "?grant_type=password",
            json!({ "email": "a\0@example.com", "password": "x" }),
        ),
        token(
            "endless address",
            "?grant_type=password",
            json!({ "email": "a".repeat(100_000), "password": "x" }),
        ),
        token(
            "endless password",
            "?grant_type=password",
            json!({ "email": "a@example.com", "password": "x".repeat(100_000) }),
        ),
        token(
            "password with NUL",
            "?grant_type=password",
            json!({ "email": "a@example.com", "password": "\0" }),
        ),
        token("no refresh token", "?grant_type=refresh_token", json!({})),
        token("empty refresh token", "?grant_type=refresh_token", json!({ "refresh_token": "" })),
        token("unknown refresh token", "?grant_type=refresh_token", json!({ "refresh_token": "nonsense" }))
            .is(400, "refresh_token_not_found"),
        token("refresh token with NUL", "?grant_type=refresh_token", json!({ "refresh_token": "a\0b" })),
        token(
            "endless refresh token",
            "?grant_type=refresh_token",
            json!({ "refresh_token": "a".repeat(100_000) }),
        ),
        Case::new("form instead of a document", Method::POST, PASSWORD)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("email=a%40example.com&password=x"),
    ]
}

fn accounts() -> Vec<Case> {
    let put = |name: &str, body: serde_json::Value| {
        Case::new(name, Method::PUT, "/auth/v1/user").body(body.to_string())
    };
    let tenant = |name: &str, body: serde_json::Value| {
        Case::new(name, Method::POST, "/auth/v1/tenant").body(body.to_string())
    };
    vec![
        put("short new password", json!({ "password": "x" })),
        put("the old password", json!({ "password": "correct horse" })).is(422, "same_password"),
        put("bad new address", json!({ "email": "nonsense" })),
        put("data with NUL", json!({ "data": { "a": "\0" } })),
        put("data that is a list", json!({ "data": [] })),
        tenant("tenant that is no id", json!({ "tenant_id": "mine" })),
        tenant("nobody's tenant", json!({ "tenant_id": "00000000-0000-4000-8000-000000000000" })),
        tenant("no tenant", json!({})),
        Case::new("unknown scope", Method::POST, "/auth/v1/logout?scope=nonsense"),
        Case::new("two scopes", Method::POST, "/auth/v1/logout?scope=local&scope=global"),
    ]
}

fn administration(app: &TestApp, user: &SignedIn) -> Vec<Case> {
    let key = format!("Bearer {}", app.service_key);
    let own = format!("/auth/v1/admin/users/{}", user.id);
    let case = |name: &str, method: Method, path: &str, body: serde_json::Value| {
        Case::new(name, method, path).header("authorization", key.clone()).body(body.to_string())
    };
    let users = "/auth/v1/admin/users";
    vec![
        Case::new("a user as administrator", Method::GET, users).is(403, "not_admin"),
        case("user that is no id", Method::GET, "/auth/v1/admin/users/nonsense", json!({})),
        case("user that is bytes", Method::GET, "/auth/v1/admin/users/%ff%00", json!({})),
        case("nobody", Method::GET, "/auth/v1/admin/users/00000000-0000-4000-8000-000000000000", json!({}))
            .is(404, "user_not_found"),
        case(
            "nobody deleted",
            Method::DELETE,
            "/auth/v1/admin/users/00000000-0000-4000-8000-000000000000",
            json!({}),
        ),
        case("page of nonsense", Method::GET, "/auth/v1/admin/users?page=nonsense", json!({})),
        case("page before the first", Method::GET, "/auth/v1/admin/users?page=-1&per_page=-1", json!({})),
        case(
            "page far away",
            Method::GET,
            "/auth/v1/admin/users?page=99999999999999999999&per_page=99999999999999999999",
            json!({}),
        ),
        case("user without address", Method::POST, users, json!({})),
        case("user with a bad address", Method::POST, users, json!({ "email": "nonsense" })),
        case("taken address", Method::POST, users, json!({ "email": "a@example.com" })),
        case("bad ban", Method::PUT, &own, json!({ "ban_duration": "for ever" })),
        case("endless ban", Method::PUT, &own, json!({ "ban_duration": "99999999999999999999h" })),
        case("NUL in metadata", Method::PUT, &own, json!({ "app_metadata": { "a": "\0" } })),
        case("NUL in the role", Method::PUT, &own, json!({ "role": "a\0" })),
        case("metadata that is a list", Method::PUT, &own, json!({ "user_metadata": [] })),
        case("bad address", Method::PUT, &own, json!({ "email": "x" })),
        case("short password", Method::PUT, &own, json!({ "password": "x" })),
        Case::new("list as document", Method::PUT, &own).header("authorization", key.clone()).body("[]"),
    ]
}

fn paths() -> Vec<Case> {
    vec![
        Case::new("unknown path", Method::GET, "/auth/v1/nonsense"),
        Case::new("path with NUL", Method::GET, "/auth/v1/us%00er"),
        Case::new("path with bytes", Method::GET, "/auth/v1/%ff"),
        Case::new("wrong method", Method::DELETE, SIGNUP),
        Case::new("strange method", Method::from_bytes(b"STEAL").unwrap(), SIGNUP),
        Case::new("missing half of a path", Method::GET, "/auth/v1/admin"),
    ]
}
