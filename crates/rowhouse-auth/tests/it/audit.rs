//! The audit log: entries in the transaction of the change.

use std::time::Duration;

use http::Method;
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};

/// Actions in their order, of one user where named.
async fn actions(app: &App, user: &str) -> Vec<String> {
    let sql = "select payload ->> 'action' from auth.audit_log_entries \
               where payload -> 'traits' ->> 'user_id' = $1 order by created_at, payload ->> 'action'";
    app.sql().await.query(sql, &[&user]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn actions_of_users_are_audited_with_failed_sign_ins() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    app.refresh(person.refresh_token()).await.ok();
    app.put_as("/user", person.token(), json!({ "data": { "color": "red" } })).await.ok();
    app.put_as("/user", person.token(), json!({ "password": "battery staple" })).await.ok();
    app.send(Method::POST, "/logout?scope=local", Some(person.token()), "").await;
    assert_eq!(
        actions(&app, person.id()).await,
        ["user_signedup", "login", "login_failed", "user_modified", "user_updated_password", "logout"]
    );
    let login =
        "select payload::text, ip_address from auth.audit_log_entries where payload ->> 'action' = 'login'";
    let row = app.sql().await.query_one(login, &[]).await.unwrap();
    let payload: Value = serde_json::from_str(row.get(0)).unwrap();
    assert_eq!(
        (&payload["actor_id"], &payload["actor_username"]),
        (&json!(person.id()), &json!("a@example.com"))
    );
    assert_eq!((&payload["log_type"], row.get::<_, &str>(1)), (&json!("account"), "192.0.2.1"));
}

#[tokio::test]
async fn rehash_is_not_audited_as_a_new_password_and_token_reuse_is_audited() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let hash = bcrypt::hash("from before", 4).unwrap();
    let sql = "alter table auth.users disable trigger audited; update auth.users set encrypted_password = '{hash}'; \
               alter table auth.users enable trigger audited";
    app.sql().await.batch_execute(&sql.replace("{hash}", &hash)).await.unwrap();
    app.pass(Duration::from_secs(60));
    app.password("a@example.com", "from before").await.ok();
    let second = crate::app::Person(app.refresh(person.refresh_token()).await.ok());
    app.refresh(second.refresh_token()).await.ok();
    app.pass(Duration::from_secs(60));
    app.refresh(person.refresh_token()).await.is(400, "refresh_token_already_used");
    assert_eq!(actions(&app, person.id()).await, ["user_signedup", "login", "login", "token_revoked"]);
}

#[tokio::test]
async fn actions_of_administrators_name_the_account_and_the_right_actor() {
    let app = App::start().await;
    let key = &app.service_key;
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "email_confirm": true });
    let user = app.post_as("/admin/users", key, body).await.ok();
    let id = user["id"].as_str().unwrap();
    app.sign_in("a@example.com").await;
    let path = format!("/admin/users/{id}");
    app.put_as(&path, key, json!({ "ban_duration": "24h" })).await.ok();
    app.send(Method::DELETE, &path, Some(key), "").await.ok();
    assert_eq!(actions(&app, id).await, ["user_signedup", "login", "user_modified", "user_deleted"]);
    let actors = "select count(*) from auth.audit_log_entries where payload ->> 'actor_id' is not null";
    assert_eq!(app.sql().await.query_one(actors, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn entries_are_immutable() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    let client = app.sql().await;
    let owner = app.db.urls.control.expose();
    let (owner, connection) = tokio_postgres::connect(owner, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for change in
        ["update audit.entries set action = 'x'", "delete from audit.entries", "truncate audit.entries"]
    {
        for client in [&owner, &client] {
            let refused = client.batch_execute(change).await.unwrap_err();
            assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{change}");
        }
    }
    let left = client.query_one("select count(*) from auth.audit_log_entries", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn project_code_cannot_forge_the_actor_in_the_log() {
    let app = App::start().await;
    let lie = "create function public.lie() returns trigger language plpgsql security definer as $$ begin \
          perform set_config('rowhouse.actor', 'somebody else', false); \
          perform set_config('rowhouse.address', '203.0.113.9', true); return coalesce(new, old); end $$; ";
    let trigger = "create trigger \"a lie\" before insert or update on auth.users for each row execute function public.lie();";
    let cascade = "create table public.pets (owner uuid references auth.users on delete cascade); \
        create trigger lie before delete on public.pets for each row execute function public.lie();";
    app.db.migrate(&format!("{lie}{cascade}")).await;
    let person = app.sign_up("b@example.com").await;
    let pet = format!("insert into public.pets values ('{}')", person.id());
    app.sql().await.batch_execute(&pet).await.unwrap();
    let key = app.service_key.clone();
    app.send(Method::DELETE, &format!("/admin/users/{}", person.id()), Some(&key), "").await.ok();
    app.db.migrate(trigger).await;
    app.sign_up("a@example.com").await;
    let lies = "select count(*) from audit.entries where actor = 'somebody else' or address = '203.0.113.9'";
    assert_eq!(app.sql().await.query_one(lies, &[]).await.unwrap().get::<_, i64>(0), 0);
    let told =
        "select count(*) from audit.entries where action in ('user_signedup', 'login', 'user_deleted')";
    assert!(app.sql().await.query_one(told, &[]).await.unwrap().get::<_, i64>(0) >= 5);
    app.sql().await.batch_execute("select audit.prune('{31536000, 86400}')").await.unwrap();
    let kept = "select count(*) from audit.origins";
    assert_eq!(app.sql().await.query_one(kept, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn flood_of_sign_ins_leaves_a_bounded_number_of_sessions_and_entries() {
    let app = App::with(AuthSettings { max_sessions_per_user: 3, ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    let client = app.sql().await;
    let count = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let entries = "insert into audit.entries (source, action, actor, target_kind, target_id) \
         select 'auth', action, 'anon', 'user', $1 from unnest(array['login', 'logout']) action, generate_series(1, 97)";
    client.execute(entries, &[&person.id()]).await.unwrap();
    for _ in 0..8 {
        app.sign_in("a@example.com").await;
    }
    assert_eq!(count("select count(*) from auth.sessions").await, 3);
    assert_eq!(count("select count(*) from auth.refresh_tokens").await, 0, "tokens have no rows");
    for action in ["login", "logout"] {
        let written = format!("select count(*) from audit.entries where action = '{action}'");
        assert_eq!(count(&written).await, 100, "{action}");
        let left_out = format!(
            "select count(*) from audit.entries where action = 'entries_left_out' and details ->> 'action' = '{action}'"
        );
        assert_eq!(count(&left_out).await, 1, "{action}");
    }
}

#[tokio::test]
async fn session_that_was_not_used_for_the_longest_time_makes_room() {
    let app = App::with(AuthSettings { max_sessions_per_user: 2, ..settings() }).await;
    let first = app.sign_up("a@example.com").await;
    app.pass(Duration::from_secs(60));
    let second = app.sign_in("a@example.com").await;
    app.pass(Duration::from_secs(60));
    let first = crate::app::Person(app.refresh(first.refresh_token()).await.ok());
    app.pass(Duration::from_secs(60));
    app.sign_in("a@example.com").await;
    app.get("/user", first.token()).await.ok();
    app.get("/user", second.token()).await.is(403, "session_not_found");
}

#[tokio::test]
async fn wrong_passwords_and_their_lock_are_written_down_and_what_the_lock_refuses_is_not() {
    let app = App::with(AuthSettings { lockout_failures: 3, ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    for _ in 0..10 {
        app.password("a@example.com", "wrong").await;
        app.password("nobody@example.com", "wrong").await;
    }
    let failed = "login_failed";
    assert_eq!(
        actions(&app, person.id()).await,
        ["user_signedup", "login", failed, failed, failed, "user_locked"]
    );
    let sql = "select distinct details -> 'traits' ->> 'outcome', host(address), actor from audit.entries where action = 'login_failed'";
    let row = app.sql().await.query_one(sql, &[]).await.unwrap();
    let told: (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(told, ("invalid_credentials", "192.0.2.1", "anon"));
}

#[tokio::test]
async fn right_password_that_opens_nothing_is_written_down_with_the_reason() {
    let app = App::with(crate::confirmation::strict()).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    app.password("a@example.com", PASSWORD).await.is(400, "email_not_confirmed");
    let ban = "update auth.users set email_confirmed_at = now(), banned_until = '2200-01-01'";
    app.sql().await.batch_execute(ban).await.unwrap();
    app.password("a@example.com", PASSWORD).await.is(400, "user_banned");
    let sql = "select details -> 'traits' ->> 'outcome' from audit.entries where action = 'login_failed' order by occurred_at";
    let rows = app.sql().await.query(sql, &[]).await.unwrap();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(outcomes, ["email_not_confirmed", "user_banned"]);
}

#[tokio::test]
async fn confirmation_change_of_address_wrong_code_and_other_tenant_are_written_down() {
    let app = App::with(crate::confirmation::strict()).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    let code = app.mail_to("a@example.com").await.code();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    app.verify("signup", "a@example.com", wrong).await.is(403, "otp_expired");
    let person = crate::app::Person(app.verify("signup", "a@example.com", &code).await.ok());
    app.put_as("/user", person.token(), json!({ "email": "b@example.com" })).await.ok();
    let tenant = json!({ "tenant_id": person.claims(&app)["tenant_id"] });
    app.post_as("/tenant", person.token(), tenant).await.ok();
    let seen = actions(&app, person.id()).await;
    for action in ["user_confirmed", "code_rejected", "user_modified", "tenant_switched"] {
        assert_eq!(seen.iter().filter(|seen| *seen == action).count(), 1, "{action} of {seen:?}");
    }
    let sql = "select details -> 'traits' -> 'changed' from audit.entries where action = 'user_modified'";
    let changed: Value = app.sql().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(changed, json!(["new_email"]));
    let invited = json!({ "type": "invite", "email": "c@example.com" });
    let link = app.post_as("/admin/generate_link", &app.service_key, invited).await.ok();
    app.verify("invite", "c@example.com", link["email_otp"].as_str().unwrap()).await.ok();
    let seen = actions(&app, link["id"].as_str().unwrap()).await;
    assert!(seen.contains(&"invite_accepted".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn entries_name_the_client_and_hold_no_secret() {
    let app = App::with(crate::confirmation::strict()).await;
    let agent = "browser/1 ".to_owned() + &"x".repeat(600);
    let post = async |path: &str, body: Value| {
        let request = app.request(Method::POST, &format!("/auth/v1{path}")).header("user-agent", &agent);
        app.app_send(request.body(body.to_string())).await.1
    };
    post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await;
    let mail = app.mail_to("a@example.com").await;
    let (code, link) = (mail.code(), mail.link().to_string());
    let verify = json!({ "type": "signup", "email": "a@example.com", "token": code });
    let first = crate::app::Person(post("/verify", verify).await);
    let grant = json!({ "email": "a@example.com", "password": PASSWORD });
    let second = crate::app::Person(post("/token?grant_type=password", grant).await);
    app.put_as(
        "/user",
        second.token(),
        json!({ "password": "battery staple", "data": { "pin": "4711-pin" } }),
    )
    .await
    .ok();
    post("/token?grant_type=password", json!({ "email": "a@example.com", "password": "guessed-wrong" }))
        .await;
    let sql = "select jsonb_agg(to_jsonb(e))::text from audit.entries e";
    let log: String = app.sql().await.query_one(sql, &[]).await.unwrap().get(0);
    let secrets = [
        PASSWORD,
        "battery staple",
        "guessed-wrong",
        "4711-pin",
        first.token(),
        first.refresh_token(),
        second.refresh_token(),
    ];
    for secret in secrets.iter().copied().chain([link.rsplit("token=").next().unwrap()]) {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    let sql = "select count(*) filter (where user_agent = $1), count(*) from audit.entries where action in ('user_signedup', 'login')";
    let kept = &agent[..512];
    let row = app.sql().await.query_one(sql, &[&kept]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 3));
}

#[tokio::test]
async fn sessions_that_nobody_uses_end() {
    let app = App::start().await;
    app.sign_up("idle@example.com").await;
    let client = app.sql().await;
    client.batch_execute("update auth.sessions set created_at = now() - interval '91 days'").await.unwrap();
    app.sign_up("refreshed@example.com").await;
    let sql = "update auth.sessions set created_at = now() - interval '1 year', refreshed_at = now() - interval '1 day' \
               where created_at > now()";
    client.batch_execute(sql).await.unwrap();
    let end = "select auth.end_idle_sessions(array[extract(epoch from interval '90 days')::float8])";
    assert_eq!(client.query_one(end, &[]).await.unwrap().get::<_, i64>(0), 1);
    let left = "select u.email::text from auth.sessions s join auth.users u on u.id = s.user_id";
    let left: Vec<String> = client.query(left, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(left, ["refreshed@example.com"]);
}

#[tokio::test]
async fn letters_are_audited() {
    let app = App::with(crate::confirmation::strict()).await;
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    app.post("/signup", body.clone()).await.ok();
    let code = app.mail_to("a@example.com").await.code();
    let person = crate::app::Person(app.verify("signup", "a@example.com", &code).await.ok());
    app.post("/signup", body).await.ok();
    app.post("/recover", json!({ "email": "a@example.com" })).await.ok();
    app.get("/reauthenticate", person.token()).await.ok();
    let seen = actions(&app, person.id()).await;
    for action in [
        "user_signedup",
        "user_confirmation_requested",
        "login",
        "user_repeated_signup",
        "user_recovery_requested",
        "user_reauthenticate_requested",
    ] {
        assert!(seen.iter().any(|seen| seen == action), "{action} of {seen:?}");
    }
    let invite = json!({ "email": "b@example.com" });
    for _ in 0..2 {
        app.post_as("/invite", &app.service_key, invite.clone()).await.ok();
    }
    let sql = "select count(*) from audit.entries where action = 'user_invited'";
    assert_eq!(app.sql().await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 2);
}

#[tokio::test]
async fn changes_of_metadata_are_bounded_and_hide_no_change_of_the_address() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for n in 0..103 {
        app.put_as("/user", person.token(), json!({ "data": { "n": n } })).await.ok();
    }
    let sql = app.sql().await;
    let count = async |action: &str| {
        let count = "select count(*) from audit.entries where action = $1";
        sql.query_one(count, &[&action]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!((count("user_modified").await, count("entries_left_out").await), (100, 1));
    sql.execute("update auth.users set email = 'b@example.com'", &[]).await.unwrap();
    assert_eq!(count("user_modified").await, 101);
}
