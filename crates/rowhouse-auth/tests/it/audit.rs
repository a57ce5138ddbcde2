//! The audit log: what became of accounts, in the transaction that did it.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD};

/// Actions in their order, of one user where named.
async fn actions(app: &App, user: &str) -> Vec<String> {
    let sql = "select payload ->> 'action' from auth.audit_log_entries \
               where payload -> 'traits' ->> 'user_id' = $1 order by created_at, payload ->> 'action'";
    app.sql().await.query(sql, &[&user]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_a_user_does_is_written_down_and_what_fails_is_not() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.password("a@example.com", "wrong").await.is(400, "invalid_credentials");
    app.refresh(person.refresh_token()).await.ok();
    app.put_as("/user", person.token(), json!({ "data": { "color": "red" } })).await.ok();
    app.put_as("/user", person.token(), json!({ "password": "battery staple" })).await.ok();
    app.send(Method::POST, "/logout?scope=local", Some(person.token()), "").await;
    assert_eq!(
        actions(&app, person.id()).await,
        ["user_signedup", "login", "user_modified", "user_updated_password", "logout"]
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
async fn renewed_hash_is_no_new_password_and_a_stolen_token_is_told() {
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
async fn what_administrators_do_names_the_account_and_no_false_actor() {
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
async fn entries_are_not_changed_and_go_when_they_are_old() {
    let app = App::start().await;
    app.sign_up("a@example.com").await;
    let client = app.sql().await;
    let old = "insert into audit.entries (source, action, actor, target_kind, target_id, occurred_at) \
         values ('auth', 'old', 'system', 'user', '', now() - interval '11 days')";
    client.batch_execute(old).await.unwrap();
    let owner = app.database.urls.control.expose();
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
    let ten_days = vec![864_000_f64];
    let prune =
        async || owner.query_one("select auth.prune_audit($1)", &[&ten_days]).await.unwrap().get::<_, i64>(0);
    assert_eq!((prune().await, prune().await), (1, 0));
    let left = client.query_one("select count(*) from auth.audit_log_entries", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 2);
}
