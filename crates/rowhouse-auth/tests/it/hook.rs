//! Hooks: functions of the project and signed HTTP calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use rowhouse_auth::AuthHookSettings;
use rowhouse_kernel::Secret;
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, Person, settings};
use crate::factor::Authenticator;
use crate::log::Log;

/// A function of the project as a hook, made safe as `migrate up` does it.
async fn with_function(body: &str, set: impl FnOnce(&mut AuthHookSettings, String)) -> App {
    let mut hooks =
        AuthHookSettings { function_timeout: Duration::from_millis(500), ..AuthHookSettings::default() };
    set(&mut hooks, "pg-functions://postgres/public/decide".to_owned());
    let app = App::hooked(TestDatabase::create().await, settings(), hooks).await;
    let sql = "create function public.decide(event jsonb) returns jsonb language plpgsql as ";
    app.db.migrate(&format!("create table public.seen (who text, event jsonb); {sql} $$ {body} $$")).await;
    app.sql().await.query_one("select auth.confine_hook('\"public\".\"decide\"')", &[]).await.unwrap();
    app
}

#[tokio::test]
async fn function_adds_claims_to_every_token_and_cannot_change_whose_it_is() {
    let body = "begin insert into public.seen values (current_user, event);
        return jsonb_build_object('claims', event -> 'claims' || '{\"plan\": \"gold\", \"sub\": \"x\", \"role\": \"service_role\"}');
      end";
    let app = with_function(body, |hooks, uri| hooks.custom_access_token = Some(uri)).await;
    let person = app.sign_up("a@example.com").await;
    for person in [person.clone(), Person(app.refresh(person.refresh_token()).await.ok())] {
        let claims = person.claims(&app);
        assert_eq!(
            (&claims["plan"], &claims["sub"], &claims["role"]),
            (&json!("gold"), &json!(person.id()), &json!("authenticated"))
        );
    }
    app.get("/user", person.token()).await.ok();
    let seen =
        "select who, event ->> 'user_id' || (event ->> 'authentication_method') from public.seen limit 1";
    let seen = app.sql().await.query_one(seen, &[]).await.unwrap();
    assert_eq!(seen.get::<_, String>(0), "rowhouse_project");
    assert_eq!(seen.get::<_, String>(1), format!("{}password", person.id()));
}

#[tokio::test]
async fn hook_refuses_sign_ups_with_its_own_status_and_nothing_is_created() {
    let body = "begin if event -> 'user' ->> 'email' like '%@example.com' then
          return '{\"error\": {\"http_code\": 403, \"message\": \"not from there\"}}';
        end if; return '{}'; end";
    let app = with_function(body, |hooks, uri| hooks.before_user_created = Some(uri)).await;
    let refused = app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await;
    assert_eq!((refused.status, &refused.body["message"]), (StatusCode::FORBIDDEN, &json!("not from there")));
    app.sign_up("a@elsewhere.example").await;
    let count = app.sql().await.query_one("select count(*) from auth.users", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn hook_refuses_a_right_password_and_ends_all_sessions() {
    let body = "begin return jsonb_build_object('decision', case when (event ->> 'valid')::boolean then 'reject' else 'continue' end,
        'message', 'not today', 'should_logout_user', true); end";
    let app = with_function(body, |hooks, uri| hooks.password_verification_attempt = Some(uri)).await;
    let person = app.sign_up("a@example.com").await;
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    app.get("/user", person.token()).await.ok();
    let refused = app.password("a@example.com", PASSWORD).await;
    refused.is(400, "invalid_credentials");
    assert_eq!(refused.body["message"], "not today");
    app.get("/user", person.token()).await.is(403, "session_not_found");
}

#[tokio::test]
async fn hook_for_passwords_does_not_tell_which_addresses_are_known() {
    let body = "begin insert into public.seen values (event ->> 'valid', event);
        if exists (select from public.strangers s where s.id::text = event ->> 'user_id') then raise 'nobody'; end if;
        return '{\"decision\": \"reject\", \"message\": \"no more\", \"should_logout_user\": true}'; end";
    let app = with_function(body, |hooks, uri| hooks.password_verification_attempt = Some(uri)).await;
    app.db.migrate("create table public.strangers (id text)").await;
    let person = app.sign_up("a@example.com").await;
    let known = app.password("a@example.com", "wrong").await;
    let unknown = async || app.password("nobody@example.com", "wrong").await;
    let first = unknown().await;
    known.is(400, "invalid_credentials");
    assert_eq!((known.status, &known.body), (first.status, &first.body));
    // It is told of both, and what it says about the known one is done.
    app.get("/user", person.token()).await.is(403, "session_not_found");
    let sql = app.sql().await;
    let seen = "select event ->> 'user_id' from public.seen order by event ->> 'user_id' = $1";
    let seen = sql.query(seen, &[&person.id()]).await.unwrap();
    let ids: Vec<String> = seen.iter().map(|row| row.get(0)).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids[1] == person.id(), "{ids:?}");
    // Neither does its failure, as with a reference to users in its table.
    sql.execute("insert into public.strangers values ($1)", &[&ids[0]]).await.unwrap();
    let failed = unknown().await;
    assert_eq!((failed.status, &failed.body), (first.status, &first.body));
}

#[tokio::test]
async fn rejected_second_factor_ends_the_users_sessions() {
    let body = "begin return case when (event ->> 'valid')::boolean and event ->> 'factor_type' = 'totp' \
                then '{\"decision\": \"reject\", \"message\": \"not here\"}' else '{\"decision\": \"continue\"}' end::jsonb; end";
    let app = with_function(body, |hooks, uri| hooks.mfa_verification_attempt = Some(uri)).await;
    let person = app.sign_up("a@example.com").await;
    let authenticator = Authenticator::enroll(&app, &person, "phone").await;
    let challenge = authenticator.challenge(&app, &person).await.ok();
    authenticator.answer(&app, &person, &challenge["id"], "000000").await.is(422, "mfa_verification_failed");
    let refused = authenticator.verify(&app, &person).await;
    refused.is(403, "mfa_verification_rejected");
    assert_eq!(refused.body["message"], "not here");
    app.get("/user", person.token()).await.is(403, "session_not_found");
}

#[tokio::test]
async fn slow_missing_and_unsafe_functions_fail_and_say_nothing_to_the_client() {
    let app = with_function("begin perform pg_sleep(60); return '{}'; end", |hooks, uri| {
        hooks.before_user_created = Some(uri);
    })
    .await;
    let sign_up =
        async || app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await;
    sign_up().await.is(422, "hook_timeout");
    let sql = app.sql().await;
    sql.batch_execute("alter function public.decide(jsonb) security invoker").await.unwrap();
    sign_up().await.is(500, "unexpected_failure");
    sql.batch_execute("drop function public.decide(jsonb)").await.unwrap();
    let missing = sign_up().await;
    missing.is(500, "unexpected_failure");
    assert!(!missing.body.to_string().contains("decide"), "{}", missing.body);
}

type Requests = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

async fn receive(
    State(seen): State<Requests>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap, String) {
    let mut seen = seen.lock().unwrap();
    seen.push((headers, serde_json::from_str(&body).unwrap()));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    if seen.len() == 1 {
        headers.insert("retry-after", "0".parse().unwrap());
        return (StatusCode::SERVICE_UNAVAILABLE, headers, String::new());
    }
    let refusal = r#"{"error": {"http_code": 422, "message": "no"}}"#;
    (StatusCode::OK, headers, if seen.len() == 2 { "{}" } else { refusal }.to_owned())
}

#[tokio::test]
async fn http_hook_is_signed_repeated_when_it_asks_and_believed() {
    let seen = Requests::default();
    let router = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = tokio::spawn(async { axum::serve(listener, router).await });
    let hooks = AuthHookSettings {
        before_user_created: Some(url),
        secret: Some(Secret::new("a secret of the project's hooks, 32+")),
        ..AuthHookSettings::default()
    };
    let app = App::hooked(TestDatabase::create().await, settings(), hooks).await;
    app.sign_up("a@example.com").await;
    let second = app.post("/signup", json!({ "email": "b@example.com", "password": PASSWORD })).await;
    assert_eq!((second.status.as_u16(), &second.body["message"]), (422, &json!("no")));
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        let (headers, event) = &seen[1];
        assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
        assert_eq!(
            (&event["user"]["email"], &event["metadata"]["name"]),
            (&json!("a@example.com"), &json!("before-user-created"))
        );
        assert!(event["metadata"]["ip_address"].is_string());
    }
    server.abort();
    let _ = server.await;
    app.post("/signup", json!({ "email": "c@example.com", "password": PASSWORD }))
        .await
        .is(422, "hook_timeout_after_retry");
}

#[tokio::test]
async fn function_that_cannot_be_called_is_named_with_its_remedy_at_the_start_and_in_the_log() {
    let log = Log::capture();
    let hooks = AuthHookSettings {
        before_user_created: Some("pg-functions://postgres/secret/decide".to_owned()),
        ..AuthHookSettings::default()
    };
    let app = App::hooked(TestDatabase::create().await, settings(), hooks.clone()).await;
    let missing = "there is no function \"secret\".\"decide\"(event jsonb) returns jsonb";
    assert_eq!(log.lines_with(&format!("auth_hooks.before_user_created: {missing}")).len(), 1);
    let sign_up = json!({ "email": "a@example.com", "password": PASSWORD });
    let refused = app.post("/signup", sign_up.clone()).await;
    refused.is(500, "unexpected_failure");
    assert_eq!(refused.body["message"], "Error running hook");
    assert!(log.lines_with("a hook has refused or failed").iter().any(|line| line.contains(missing)));

    // Made by somebody else, who lets nobody use it: each remedy leads to the next.
    let sql = app.sql().await;
    let body = "as $$begin return '{}'; end$$; revoke execute on function secret.decide(jsonb) from public";
    sql.batch_execute("create schema secret").await.unwrap();
    let create = format!(
        "create function secret.decide(event jsonb) returns jsonb language plpgsql security definer {body}"
    );
    sql.batch_execute(&create).await.unwrap();
    let client = rowhouse_db::connect(&app.db.urls.control).await.unwrap();
    let mistakes = async || rowhouse_auth::hook_mistakes(&client, &hooks).await.unwrap();
    for remedy in [
        "grant usage on schema secret to rowhouse",
        "grant execute on function \"secret\".\"decide\"(jsonb) to rowhouse",
    ] {
        let found = mistakes().await;
        assert!(found.len() == 1 && found[0].ends_with(&format!("; run: {remedy}")), "{found:?}");
        sql.batch_execute(remedy).await.unwrap();
    }
    assert_eq!(mistakes().await, Vec::<String>::new());
    app.post("/signup", sign_up).await.ok();
}
