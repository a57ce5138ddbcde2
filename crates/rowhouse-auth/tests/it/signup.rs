use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};

#[tokio::test]
async fn sign_up_creates_session_profile_organization_and_tenant() {
    let app = App::start().await;
    let body = json!({ "email": "Ann@Example.com", "password": PASSWORD, "data": { "full_name": "Ann" } });
    let answer = app.post("/signup", body).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let session = answer.ok();
    assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("bearer"), &json!(3600)));
    let user = &session["user"];
    assert_eq!(
        (&user["email"], &user["aud"], &user["role"]),
        (&json!("ann@example.com"), &json!("authenticated"), &json!("authenticated"))
    );
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!(
        (&user["user_metadata"]["full_name"], &user["user_metadata"]["sub"]),
        (&json!("Ann"), &user["id"])
    );
    assert_eq!(user["identities"][0]["provider"], "email");
    assert_eq!(user["identities"][0]["id"], user["id"]);
    assert!(user["confirmed_at"].is_string() && user["last_sign_in_at"].is_string());

    let person = crate::app::Person(session.clone());
    let claims = person.claims(&app);
    assert_eq!(
        (&claims["iss"], &claims["tenant_role"]),
        (&json!(format!("{}/auth/v1", crate::app::URL)), &json!("owner"))
    );
    let sql = app.sql().await;
    let count = "select count(*) from tenancy.user_profiles p
        join tenancy.memberships m on m.user_id = p.user_id
        join tenancy.tenants t on t.id = m.tenant_id
        where p.full_name = 'Ann' and t.id::text = $1 and t.organization_id::text = $2";
    let (tenant, organization) = (claims["tenant_id"].as_str().unwrap(), claims["org_id"].as_str().unwrap());
    assert_eq!(sql.query_one(count, &[&tenant, &organization]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn refresh_token_is_not_stored() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let sql = "select s::text, (select count(*) from auth.refresh_tokens) from auth.sessions s";
    let row = app.sql().await.query_one(sql, &[]).await.unwrap();
    assert!(!row.get::<_, String>(0).contains(person.refresh_token()));
    assert_eq!(row.get::<_, i64>(1), 0);
}

#[tokio::test]
async fn taken_address_is_reported_where_addresses_are_confirmed_at_once() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    let again = json!({ "email": "A@example.com", "password": PASSWORD });
    app.post("/signup", again).await.is(422, "user_already_exists");
}

#[tokio::test]
async fn address_in_another_case_counts_as_taken() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    app.sql().await.execute("update auth.users set email = 'A@Example.com'", &[]).await.unwrap();
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD }))
        .await
        .is(422, "user_already_exists");
    app.sign_in("a@example.com").await;
}

#[tokio::test]
async fn concurrent_sign_ups_of_one_address_create_one_user() {
    let app = App::start().await;
    let body = || json!({ "email": "a@example.com", "password": PASSWORD });
    let (one, two) = tokio::join!(app.post("/signup", body()), app.post("/signup", body()));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422]);
}

#[tokio::test]
async fn unconfirmed_user_cannot_sign_in_and_is_told_only_with_the_right_password() {
    let app = App::with(AuthSettings { mailer_autoconfirm: false, ..settings() }).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    app.password("a@example.com", PASSWORD).await.is(400, "email_not_confirmed");
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn invalid_sign_ups_are_refused() {
    let app = App::start().await;
    app.post("/signup", json!({ "email": "a@example.com" })).await.is(400, "validation_failed");
    app.post("/signup", json!({ "email": "no address", "password": PASSWORD }))
        .await
        .is(400, "validation_failed");
    app.post("/signup", json!({ "password": PASSWORD })).await.is(422, "anonymous_provider_disabled");
    app.post("/signup", json!({ "email": "a@example.com", "phone": "+431", "password": PASSWORD }))
        .await
        .is(400, "validation_failed");
    app.post("/signup", json!({ "phone": "+431", "password": PASSWORD }))
        .await
        .is(400, "phone_provider_disabled");
    let weak = app.post("/signup", json!({ "email": "a@example.com", "password": "12345" })).await;
    weak.is(422, "weak_password");
    assert_eq!(weak.body["weak_password"], json!({ "reasons": ["length"] }));
    let closed = App::with(AuthSettings { disable_signup: true, ..settings() }).await;
    closed
        .post("/signup", json!({ "email": "a@example.com", "password": PASSWORD }))
        .await
        .is(422, "signup_disabled");
}

#[tokio::test]
async fn failing_project_trigger_rolls_everything_back() {
    let app = App::start().await;
    app.sql().await
        .batch_execute("create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
            create trigger zz_refuse after insert on auth.users for each row execute function public.refuse();")
        .await
        .unwrap();
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD }))
        .await
        .is(500, "unexpected_failure");
    let left = "select (select count(*) from auth.users) + (select count(*) from tenancy.organizations)";
    assert_eq!(app.sql().await.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn triggers_of_the_project_run_with_its_own_rights_or_not_at_all() {
    let app = App::start().await;
    let sql = "create table public.seen (who text); \
        create function public.see() returns trigger language plpgsql as \
        $$ begin insert into public.seen values (current_user); return new; end $$; \
        create trigger a_see after insert on auth.users for each row execute function public.see()";
    app.db.migrate(sql).await;
    let refused = app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await;
    refused.is(500, "unexpected_failure");
    let client = app.sql().await;
    let confined = "select auth.confine_triggers()";
    assert_eq!(client.query_one(confined, &[]).await.unwrap().get::<_, i32>(0), 1);
    assert_eq!(client.query_one(confined, &[]).await.unwrap().get::<_, i32>(0), 0);
    app.sign_up("a@example.com").await;
    let seen: String = client.query_one("select who from public.seen", &[]).await.unwrap().get(0);
    assert_eq!(seen, "rowhouse_project");
}

/// The part of the project's migration before `create trigger`: records who runs its code.
const SEEN: &str = "create table public.seen (who text); \
    create function public.see() returns trigger language plpgsql as \
    $$ begin insert into public.seen values (current_user); return coalesce(new, old); end $$; ";

#[tokio::test]
async fn unconfined_project_trigger_is_refused_before_it_runs() {
    let app = App::start().await;
    let first = "create trigger \" \" before insert on auth.users for each statement execute function public.see(); \
        create trigger \"!\" before insert on auth.users for each statement execute function public.see(); \
        create trigger U&\"\\0001a\" before insert on auth.users for each statement execute function public.see()";
    // A sequence is not rolled back, so it shows that the function has not run.
    let sequence = "create sequence public.runs; create function public.run() returns trigger language plpgsql as \
        $$ begin perform nextval('public.runs'); return null; end $$; \
        create trigger \"\t\" before insert on auth.users for each statement execute function public.run(); ";
    app.db.migrate(&format!("{SEEN}{sequence}{first}")).await;
    let refused = app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await;
    refused.is(500, "unexpected_failure");
    let client = app.sql().await;
    let ran = client.query_one("select is_called from public.runs", &[]).await.unwrap();
    assert!(!ran.get::<_, bool>(0), "a trigger ran with the platform's rights");
    client.query_one("select auth.confine_triggers()", &[]).await.unwrap();
    app.sign_up("a@example.com").await;
    let who = "select count(*) filter (where who = 'rowhouse_project'), count(*) from public.seen";
    let row = client.query_one(who, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 3));
}

#[tokio::test]
async fn conditions_of_the_projects_triggers_do_not_run_as_the_platform() {
    let app = App::start().await;
    let plain = "create trigger plain after insert on auth.users for each row \
        when (new.email is not null) execute function public.see();";
    app.db.migrate(&format!("{SEEN}{plain}")).await;
    let client = app.sql().await;
    let confine =
        async || client.query_one("select auth.confine_triggers()", &[]).await.unwrap().get::<_, i32>(0);
    assert_eq!(confine().await, 1);
    app.sign_up("a@example.com").await;
    let condition = "create function public.note() returns boolean language plpgsql as \
        $$ begin insert into public.seen values ('when ' || current_user); return true; end $$; \
        create trigger noted after insert on auth.users for each row when (public.note()) execute function public.see();";
    app.db.migrate(condition).await;
    let refused = app.post("/signup", json!({ "email": "b@example.com", "password": PASSWORD })).await;
    refused.is(500, "unexpected_failure");
    assert_eq!(confine().await, 1);
    app.sign_up("b@example.com").await;
    let who = "select distinct who from public.seen order by who";
    let who: Vec<String> = client.query(who, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(who, ["rowhouse_project", "when rowhouse_project"]);
    let operator = "create function public.same(text, text) returns boolean language sql as 'select true'; \
        create operator public.=== (function = public.same, leftarg = text, rightarg = text); \
        create trigger compared after insert on auth.users for each row \
          when (new.email::text operator(public.===) 'x') execute function public.see();";
    app.db.migrate(operator).await;
    confine().await;
    let refused = app.post("/signup", json!({ "email": "c@example.com", "password": PASSWORD })).await;
    refused.is(500, "unexpected_failure");
}
