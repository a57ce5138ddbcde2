//! Hooks that are told what was done, by jobs: letters to send and users who were made.

use rowhouse_auth::AuthHookSettings;
use rowhouse_kernel::Secret;
use rowhouse_mail::{MailSettings, MailTransport};
use rowhouse_module::Roles;
use rowhouse_testkit::{LIMIT, Received, Receiver, TestDatabase, until_some, until_true};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};
use crate::confirmation::strict;

/// A process that runs jobs and sends no mails.
async fn with(auth: rowhouse_auth::AuthSettings, hooks: AuthHookSettings) -> App {
    App::with_setup(TestDatabase::create().await, auth, |setup| {
        setup.settings.put(hooks);
        setup.settings.update(|mail: &mut MailSettings| mail.transport = MailTransport::None);
        setup.roles = Roles { api: true, worker: true };
    })
    .await
}

/// With a function that keeps the events of `send_email`.
async fn with_function(auth: rowhouse_auth::AuthSettings, body: &str) -> App {
    let hooks = AuthHookSettings {
        send_email: Some("pg-functions://postgres/public/send".to_owned()),
        ..AuthHookSettings::default()
    };
    let app = with(auth, hooks).await;
    let sql = "create function public.send(event jsonb) returns jsonb language plpgsql as ";
    app.db
        .migrate(&format!(
            "create table public.sent (id int generated always as identity, event jsonb); {sql} $$ {body} $$"
        ))
        .await;
    app.sql().await.query_one("select auth.confine_hook('\"public\".\"send\"')", &[]).await.unwrap();
    app
}

const KEEP: &str = "begin insert into public.sent (event) values (event); return '{}'; end";

/// The nth event that the function was told.
async fn nth(app: &App, n: i32) -> Value {
    let sql = app.sql().await;
    until_some("an event", LIMIT, async || {
        sql.query_opt("select event from public.sent where id = $1", &[&n])
            .await
            .unwrap()
            .map(|row| row.get(0))
    })
    .await
}

fn told(event: &Value, name: &str) -> String {
    event["email_data"][name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn function_sends_the_letters_and_their_codes_and_tokens_work() {
    let app = with_function(strict(), KEEP).await;
    let path = "/signup?redirect_to=http%3A%2F%2Frowhouse.test%2Fin";
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    app.send(reqwest::Method::POST, path, None, body.to_string()).await.ok();
    let event = nth(&app, 1).await;
    assert_eq!(event["user"]["email"], "a@example.com");
    assert_eq!(
        (event["metadata"]["name"].as_str(), told(&event, "email_action_type")),
        (Some("send-email"), "signup".to_owned())
    );
    assert_eq!(told(&event, "redirect_to"), "http://rowhouse.test/in");
    assert_eq!(told(&event, "site_url"), format!("{}/auth/v1", crate::app::URL));
    for empty in ["token_new", "token_hash_new", "old_email", "old_phone", "provider", "factor_type"] {
        assert_eq!(told(&event, empty), "");
    }
    app.verify("signup", "a@example.com", &told(&event, "token")).await.ok();
    app.post("/recover", json!({ "email": "a@example.com" })).await.ok();
    let event = nth(&app, 2).await;
    assert_eq!(told(&event, "email_action_type"), "recovery");
    let link = json!({ "type": "recovery", "token_hash": told(&event, "token_hash") });
    app.post("/verify", link).await.ok();
    app.post("/signup", body).await.ok();
    assert_eq!(told(&nth(&app, 3).await, "email_action_type"), "account_exists_notification");
    // Nothing of the tokens is to be seen in the jobs, and no mail was written.
    let sql = app.sql().await;
    let mails: i64 = sql.query_one("select count(*) from mail.messages", &[]).await.unwrap().get(0);
    assert_eq!(mails, 0);
}

#[tokio::test]
async fn change_of_an_address_is_one_event_with_the_codes_crossed_as_gotrue_has_them() {
    let app =
        with_function(rowhouse_auth::AuthSettings { mailer_autoconfirm: false, ..settings() }, KEEP).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    let first = nth(&app, 1).await;
    let session = app.verify("signup", "a@example.com", &told(&first, "token")).await.ok();
    let token = session["access_token"].as_str().unwrap();
    app.put_as("/user", token, json!({ "email": "b@example.com" })).await.ok();
    let event = nth(&app, 2).await;
    assert_eq!(told(&event, "email_action_type"), "email_change");
    assert_eq!(event["user"]["new_email"], "b@example.com");
    app.verify("email_change", "a@example.com", &told(&event, "token")).await.ok();
    let new = json!({ "type": "email_change", "token_hash": told(&event, "token_hash") });
    app.post("/verify", new).await.ok();
    let user = app.get("/user", token).await.ok();
    assert_eq!(user["email"], "b@example.com");
    assert_eq!((told(&event, "token_new").len(), told(&event, "token_hash_new").len()), (6, 22));
}

#[tokio::test]
async fn hook_that_fails_undoes_nothing_and_is_called_again() {
    // A sequence keeps what a transaction that fails has counted.
    let body = "begin if nextval('public.calls') = 1 then raise exception 'not now'; end if;
        insert into public.sent (event) values (event); return '{}'; end";
    let app = with_function(strict(), body).await;
    app.db.migrate("create sequence public.calls").await;
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    let user = app.post("/signup", body).await.ok();
    let event = nth(&app, 1).await;
    assert_eq!(event["user"]["id"], user["id"]);
    app.verify("signup", "a@example.com", &told(&event, "token")).await.ok();
}

#[tokio::test]
async fn letter_of_a_request_that_is_rolled_back_is_not_told() {
    let app = with_function(strict(), KEEP).await;
    let refuse = "create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
        create constraint trigger refuse after insert on auth.users deferrable initially deferred for each row
          when (new.email like 'bad@%') execute function public.refuse()";
    app.sql().await.batch_execute(refuse).await.unwrap();
    let sign_up =
        async |email: &str| app.post("/signup", json!({ "email": email, "password": PASSWORD })).await;
    assert!(sign_up("bad@example.com").await.status.is_server_error());
    sign_up("good@example.com").await.ok();
    assert_eq!(nth(&app, 1).await["user"]["email"], "good@example.com");
    let idle = "(select count(*) from jobs.ready) = 0 and (select count(*) from public.sent) = 1";
    until_true(&app.sql().await, idle).await;
}

fn event(request: &Received) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

#[tokio::test]
async fn http_hook_gets_the_same_signed_event_until_it_takes_it() {
    let mut receiver = Receiver::with_statuses(&[500, 204, 204]).await;
    let hooks = AuthHookSettings {
        send_email: Some(format!("http://127.0.0.1:{}/mail", receiver.port)),
        after_user_created: Some(format!("http://127.0.0.1:{}/made", receiver.port)),
        secret: Some(Secret::new("a secret of the project's hooks, 32+")),
        ..AuthHookSettings::default()
    };
    let app = with(settings(), hooks).await;
    let person = app.sign_up("a@example.com").await;
    let (failed, again) = (receiver.next().await, receiver.next().await);
    assert!(failed.head.starts_with("POST /made "), "{}", failed.head);
    assert_eq!(event(&failed), event(&again));
    assert_eq!(failed.header("webhook-id"), again.header("webhook-id"));
    assert!(again.header("webhook-signature").starts_with("v1,"));
    let event = event(&again);
    assert_eq!(
        (event["user"]["id"].as_str(), event["metadata"]["name"].as_str()),
        (Some(person.id()), Some("after-user-created"))
    );
    app.post("/recover", json!({ "email": "a@example.com" })).await.ok();
    assert!(receiver.next().await.head.starts_with("POST /mail "));
}

#[tokio::test]
async fn hook_that_refuses_is_not_asked_again() {
    let refusal = r#"{"error": {"http_code": 403, "message": "not this one"}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{refusal}",
        refusal.len()
    );
    let mut receiver = Receiver::start(&[&answer]).await;
    let hooks = AuthHookSettings {
        after_user_created: Some(format!("http://127.0.0.1:{}/", receiver.port)),
        secret: Some(Secret::new("a secret of the project's hooks, 32+")),
        ..AuthHookSettings::default()
    };
    let app = with(settings(), hooks).await;
    app.sign_up("a@example.com").await;
    receiver.next().await;
    until_true(&app.sql().await, "exists (select from jobs.dead where error like '%not this one%')").await;
    assert_eq!(receiver.take().len(), 0);
}
