//! Letters that tell users what was changed, or that somebody tries to get in.

use std::time::Duration;

use reqwest::Method;
use rowhouse_auth::{AuthSettings, MfaSettings, NotificationSettings, SmsSettings};
use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until_true};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, Person, mfa_settings, settings};
use crate::external::{FakeProvider, acme, person};
use crate::factor::with_factor;
use crate::mailbox::Mail;
use crate::passkey::with_passkey;
use crate::phone::{NUMBER, sms};

fn all() -> NotificationSettings {
    NotificationSettings {
        mailer_notifications_password_changed_enabled: true,
        mailer_notifications_email_changed_enabled: true,
        mailer_notifications_identity_linked_enabled: true,
        mailer_notifications_identity_unlinked_enabled: true,
        mailer_notifications_mfa_factor_enrolled_enabled: true,
        mailer_notifications_mfa_factor_unenrolled_enabled: true,
        ..NotificationSettings::default()
    }
}

async fn with(auth: AuthSettings, notifications: NotificationSettings) -> App {
    App::with_setup(TestDatabase::create().await, auth, |setup| {
        setup.settings.put(notifications);
        setup.roles = Roles { api: true, worker: true };
    })
    .await
}

async fn told(app: &App) -> Vec<Mail> {
    let mails = app.mails().await;
    mails.into_iter().filter(|mail| mail.kind.ends_with("_notification")).collect()
}

/// Everything that is told of, once.
async fn change_everything(app: &App, provider: &FakeProvider) {
    let (authenticator, ann) = with_factor(app, "a@example.com").await;
    app.put_as("/user", ann.token(), json!({ "password": "another horse" })).await.ok();
    app.delete_as(&format!("/factors/{}", authenticator.id), ann.token()).await.ok();
    let ann = Person(app.password("a@example.com", "another horse").await.ok());
    let token = provider.id_token(person("9", "b@example.com", true));
    let link = json!({ "provider": "acme", "id_token": token, "link_identity": true });
    app.post_as("/token?grant_type=id_token", ann.token(), link).await.ok();
    let user = app.get("/user", ann.token()).await.ok();
    let identities = user["identities"].as_array().unwrap();
    let linked = identities.iter().find(|identity| identity["provider"] == "acme").unwrap();
    let path = format!("/user/identities/{}", linked["identity_id"].as_str().unwrap());
    app.send(Method::DELETE, &path, Some(ann.token()), "").await.ok();
    app.put_as("/user", ann.token(), json!({ "email": "c@example.com" })).await.ok();
    let code = app.mail_to("c@example.com").await.code();
    app.verify("email_change", "c@example.com", &code).await.ok();
}

#[tokio::test]
async fn owner_is_told_of_each_change_that_the_operator_has_switched_on() {
    let provider = FakeProvider::start().await;
    let auth = AuthSettings { secure_email_change: false, ..acme(&provider) };
    let app = with(auth, all()).await;
    change_everything(&app, &provider).await;
    let told: Vec<(String, String)> = told(&app).await.into_iter().map(|mail| (mail.kind, mail.to)).collect();
    let expected = [
        "mfa_factor_enrolled_notification",
        "password_changed_notification",
        "mfa_factor_unenrolled_notification",
        "identity_linked_notification",
        "identity_unlinked_notification",
        "email_changed_notification",
    ];
    assert_eq!(told, expected.map(|kind| (kind.to_owned(), "a@example.com".to_owned())));
}

#[tokio::test]
async fn letters_say_what_was_changed_in_the_users_language() {
    let provider = FakeProvider::start().await;
    let auth = AuthSettings { secure_email_change: false, ..acme(&provider) };
    let app = with(auth, all()).await;
    change_everything(&app, &provider).await;
    let told = told(&app).await;
    assert!(told[0].text.contains("totp"), "{}", told[0].text);
    assert!(told[3].text.contains("acme"), "{}", told[3].text);
    assert!(told[5].text.contains("from a@example.com to c@example.com"), "{}", told[5].text);
    let body = json!({ "email": "d@example.com", "password": PASSWORD, "data": { "lang": "de" } });
    let person = Person(app.post("/signup", body).await.ok());
    app.put_as("/user", person.token(), json!({ "password": "another horse" })).await.ok();
    assert_eq!(app.mail_to("d@example.com").await.subject, "Ihr Passwort bei Rowhouse wurde geändert");
}

#[tokio::test]
async fn nobody_is_told_where_it_is_off() {
    let provider = FakeProvider::start().await;
    let auth = AuthSettings { secure_email_change: false, ..acme(&provider) };
    let app = with(auth, NotificationSettings::default()).await;
    change_everything(&app, &provider).await;
    assert_eq!(told(&app).await.len(), 0);
}

const IDLE: &str = "not exists (select from jobs.ready) and not exists (select from jobs.leases)";

/// Three wrong passwords, which lock, from an address.
async fn lock_from(app: &App, last: u8, email: &str) {
    app.come_from(last);
    for _ in 0..3 {
        app.password(email, "wrong").await.is(400, "invalid_credentials");
    }
    let locked = app.password(email, PASSWORD).await;
    assert_eq!(
        (locked.status.as_u16(), &locked.body["code"]),
        (429, &Value::from("over_request_rate_limit"))
    );
    app.come_from(1);
    until_true(&app.sql().await, IDLE).await;
}

#[tokio::test]
async fn owner_is_told_once_a_day_of_a_strangers_wrong_passwords() {
    let auth = AuthSettings { lockout_failures: 3, lockout_account_failures: 1000, ..settings() };
    let app = with(auth, NotificationSettings::default()).await;
    app.sign_up("a@example.com").await;
    app.sign_in("a@example.com").await;
    lock_from(&app, 7, "a@example.com").await;
    let letters = told(&app).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.kind.as_str(), letter.to.as_str()), ("sign_in_locked_notification", "a@example.com"));
    app.sign_in("a@example.com").await;
    // Neither another stranger nor an address without an account, and not what the owner has done themselves.
    lock_from(&app, 8, "a@example.com").await;
    lock_from(&app, 9, "nobody@example.com").await;
    lock_from(&app, 1, "a@example.com").await;
    assert_eq!(told(&app).await.len(), 1);
    app.pass(Duration::from_secs(25 * 3600));
    lock_from(&app, 1, "a@example.com").await;
    assert_eq!(told(&app).await.len(), 1, "the owner's own network");
    lock_from(&app, 8, "a@example.com").await;
    assert_eq!(told(&app).await.len(), 2);
}

/// What outlasts a new password is told of by default.
#[tokio::test]
async fn owner_is_told_of_passkeys_and_numbers_unless_that_is_switched_off() {
    for is_on in [true, false] {
        let notifications = NotificationSettings {
            mailer_notifications_passkey_added_enabled: is_on,
            mailer_notifications_passkey_removed_enabled: is_on,
            mailer_notifications_phone_changed_enabled: is_on,
            ..NotificationSettings::default()
        };
        let app = App::with_setup(TestDatabase::create().await, settings(), |setup| {
            if !is_on {
                setup.settings.put(notifications);
            }
            setup.settings.put(MfaSettings { passkeys_enabled: true, ..mfa_settings() });
            setup.settings.put(SmsSettings { autoconfirm: true, ..sms() });
        })
        .await;
        let (_, ann, passkey) = with_passkey(&app, "a@example.com").await;
        let path = format!("/passkeys/{}", passkey["id"].as_str().unwrap());
        app.delete_as(&path, ann.token()).await;
        app.put_as("/user", ann.token(), json!({ "phone": NUMBER })).await.ok();
        let kinds: Vec<String> = told(&app).await.into_iter().map(|mail| mail.kind).collect();
        let expected =
            ["passkey_added_notification", "passkey_removed_notification", "phone_changed_notification"];
        assert_eq!(kinds, if is_on { &expected[..] } else { &[] });
    }
}
