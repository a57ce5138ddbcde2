//! Identity over HTTP.

use reqwest::{Method, StatusCode};
use rowhouse_auth::AuthSettings;
use rowhouse_testkit::until_own_time;
use serde_json::json;

use crate::support::{SignedIn, TestApp, claims};

#[tokio::test]
async fn sign_up_creates_user_profile_organization_and_tenant() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let token = claims(&user.token);
    assert_eq!(
        (token["role"].as_str(), token["tenant_role"].as_str(), token["aal"].as_str()),
        (Some("authenticated"), Some("owner"), Some("aal1"))
    );
    let client = app.db.superuser().await;
    let sql = "select count(*) from tenancy.user_profiles p join tenancy.memberships m using (user_id) join tenancy.tenants t on t.id = m.tenant_id where p.user_id::text = $1 and t.id::text = $2 and t.organization_id::text = $3";
    let rows: i64 =
        client.query_one(sql, &[&user.id, &user.tenant, &token["org_id"].as_str()]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn refresh_token_rotates_and_its_reuse_ends_the_session() {
    let mut settings = crate::support::settings();
    settings.update(|auth: &mut AuthSettings| auth.refresh_reuse_interval = std::time::Duration::ZERO);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let refresh = async |token: &str| {
        app.post(&app.anon_key, "/auth/v1/token?grant_type=refresh_token", json!({ "refresh_token": token }))
            .await
    };
    let second = SignedIn::from(&refresh(&user.refresh_token).await.json());
    let third = SignedIn::from(&refresh(&second.refresh_token).await.json());
    assert_ne!(second.refresh_token, third.refresh_token);
    let reused = refresh(&user.refresh_token).await;
    assert_eq!(
        (reused.status, reused.code().as_str()),
        (StatusCode::BAD_REQUEST, "refresh_token_already_used")
    );
    let heir = refresh(&third.refresh_token).await;
    assert_eq!(heir.status, StatusCode::BAD_REQUEST, "the whole family is gone: {}", heir.text);
    assert_eq!(app.get(&third.token, "/rest/v1/todos").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_password_and_unknown_user_get_the_same_answer() {
    let app = TestApp::start().await;
    app.sign_up("a@example.com").await;
    let mut answers = Vec::new();
    for email in ["a@example.com", "nobody@example.com"] {
        let answer = app
            .post(
                &app.anon_key,
                "/auth/v1/token?grant_type=password",
                json!({ "email": email, "password": "wrong one" }),
            )
            .await;
        answers.push((answer.status, answer.text));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn imported_bcrypt_password_signs_in() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let client = app.db.superuser().await;
    client.batch_execute("create extension if not exists pgcrypto schema extensions").await.unwrap();
    let sql = "update auth.users set encrypted_password = extensions.crypt('from before', extensions.gen_salt('bf', 6)) where id::text = $1";
    client.execute(sql, &[&user.id]).await.unwrap();
    let answer = app
        .post(
            &app.anon_key,
            "/auth/v1/token?grant_type=password",
            json!({ "email": "a@example.com", "password": "from before" }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn rotation_of_the_signing_key_invalidates_no_token() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    for _ in 0..3 {
        app.keys.rotate(rowhouse_crypto::Purpose::Access, false).await.unwrap();
        app.keys.rotate(rowhouse_crypto::Purpose::Api, false).await.unwrap();
    }
    assert_eq!(app.get(&user.token, "/auth/v1/user").await.status, StatusCode::OK);
    assert_eq!(app.get(&user.token, "/rest/v1/todos").await.status, StatusCode::OK);
    assert_eq!(app.get(&app.service_key, "/rest/v1/todos").await.status, StatusCode::OK);
    let fresh = app.sign_up("b@example.com").await;
    let kid = |token: &str| token.split('.').next().unwrap_or_default().to_owned();
    assert_ne!(kid(&fresh.token), kid(&user.token));
    let jwks = app.get(&app.anon_key, "/.well-known/jwks.json").await;
    assert!(jwks.json()["keys"].as_array().unwrap().len() >= 2);
    assert!(!jwks.text.contains("\"d\""));
}

#[tokio::test]
async fn tenant_is_switched_only_to_one_that_the_user_belongs_to() {
    let app = TestApp::start().await;
    let (a, b) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
    let refused = app.post(&a.token, "/auth/v1/tenant", json!({ "tenant_id": b.tenant })).await;
    assert!(refused.status.is_client_error(), "{}", refused.text);
    let client = app.db.superuser().await;
    let join = "insert into tenancy.memberships (tenant_id, user_id, role) values ($1::text::uuid, $2::text::uuid, 'member')";
    client.execute(join, &[&b.tenant, &a.id]).await.unwrap();
    let switched = app.post(&a.token, "/auth/v1/tenant", json!({ "tenant_id": b.tenant })).await;
    assert_eq!(switched.status, StatusCode::OK, "{}", switched.text);
    let now = claims(switched.json()["access_token"].as_str().unwrap());
    assert_eq!((now["tenant_id"].as_str(), now["tenant_role"].as_str()), (Some(&*b.tenant), Some("member")));
    let refresh = switched.json()["refresh_token"].as_str().unwrap_or(&a.refresh_token).to_owned();
    let refreshed = app
        .post(&app.anon_key, "/auth/v1/token?grant_type=refresh_token", json!({ "refresh_token": refresh }))
        .await;
    assert_eq!(
        claims(refreshed.json()["access_token"].as_str().unwrap())["tenant_id"],
        b.tenant,
        "the choice belongs to the session"
    );
}

#[tokio::test]
async fn sign_out_takes_effect_at_once_and_in_its_scope() {
    let app = TestApp::start().await;
    let first = app.sign_up("a@example.com").await;
    let sign_in = async || {
        let body = json!({ "email": "a@example.com", "password": "correct horse" });
        SignedIn::from(&app.post(&app.anon_key, "/auth/v1/token?grant_type=password", body).await.json())
    };
    let (second, third) = (sign_in().await, sign_in().await);
    let works = async |user: &SignedIn| app.get(&user.token, "/rest/v1/todos").await.status == StatusCode::OK;
    let sign_out = async |user: &SignedIn, scope: &str| {
        app.call(&user.token, Method::POST, &format!("/auth/v1/logout?scope={scope}"), None).await.status
    };
    assert_eq!(sign_out(&second, "local").await, StatusCode::NO_CONTENT);
    assert!(works(&first).await && !works(&second).await && works(&third).await);
    assert_eq!(sign_out(&first, "others").await, StatusCode::NO_CONTENT);
    assert!(works(&first).await && !works(&third).await);
    assert_eq!(sign_out(&first, "global").await, StatusCode::NO_CONTENT);
    assert!(!works(&first).await);
}

#[tokio::test]
async fn user_metadata_gives_no_rights() {
    let app = TestApp::start().await;
    let (a, b) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
    app.post(&a.token, "/rest/v1/todos", json!({ "title": "of a" })).await;
    let claim = json!({ "data": { "role": "service_role", "tenant_id": a.tenant, "tenant_role": "owner" } });
    let changed = app.call(&b.token, Method::PUT, "/auth/v1/user", Some(claim)).await;
    assert_eq!(changed.status, StatusCode::OK);
    let body = json!({ "refresh_token": b.refresh_token });
    let again = SignedIn::from(
        &app.post(&app.anon_key, "/auth/v1/token?grant_type=refresh_token", body).await.json(),
    );
    assert_eq!(again.tenant, b.tenant);
    assert_eq!(app.get(&again.token, "/rest/v1/todos?select=id").await.text, "[]");
}

#[tokio::test]
async fn revoked_keys_are_refused_by_every_process_within_a_second() {
    let one = TestApp::start().await;
    let two = TestApp::start_beside(&one).await;
    let ann = one.sign_up("ann@example.com").await;
    let listed = one.keys.list_api_keys().await.unwrap();
    let api_key = claims(&one.service_key)["jti"].as_str().unwrap().to_owned();
    assert!(listed.iter().any(|key| key.id.to_string() == api_key));
    let signer = one.keys.ring().signing_kid(rowhouse_crypto::Purpose::Access).to_owned();
    for (id, token, path) in
        [(api_key, &one.service_key, "/admin/v1/jobs/stats"), (signer, &ann.token, "/auth/v1/user")]
    {
        for app in [&one, &two] {
            assert!(app.get(token, path).await.status.is_success(), "{path}");
        }
        one.keys.revoke(&id).await.unwrap().unwrap();
        for app in [&one, &two] {
            let refused = async || !app.get(token, path).await.status.is_success();
            until_own_time(format!("{path} is refused"), std::time::Duration::from_secs(1), refused).await;
        }
    }
}
