//! Where letters have no way out: no mailer, and no hook that sends them.

use http::Method;
use rowhouse_auth::{AuthHookSettings, AuthSettings};
use rowhouse_mail::{MailSettings, MailTransport};
use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};
use crate::confirmation::strict;
use crate::log::Log;

async fn without_mail(auth: AuthSettings, hooks: AuthHookSettings) -> App {
    App::with_setup(TestDatabase::create().await, auth, |setup| {
        setup.settings.put(hooks);
        setup.settings.update(|mail: &mut MailSettings| mail.transport = MailTransport::None);
    })
    .await
}

#[tokio::test]
async fn requests_for_letters_are_refused_alike_where_no_mail_is_sent() {
    let app = without_mail(settings(), AuthHookSettings::default()).await;
    let person = app.sign_up("a@example.com").await;
    for path in ["/recover", "/otp", "/magiclink", "/resend"] {
        let ask = async |email: &str| app.post(path, json!({ "type": "email_change", "email": email })).await;
        let (known, unknown) = (ask("a@example.com").await, ask("b@example.com").await);
        known.is(422, "email_provider_disabled");
        assert_eq!((known.status, &known.body), (unknown.status, &unknown.body), "{path}");
    }
    app.get("/reauthenticate", person.token()).await.is(422, "email_provider_disabled");
    let invite = json!({ "email": "c@example.com" });
    let invited = app.send(Method::POST, "/invite", Some(&app.service_key), invite.to_string()).await;
    invited.is(422, "email_provider_disabled");
    assert_eq!(app.count("auth.users").await, 1, "nobody was made");

    let app = without_mail(strict(), AuthHookSettings::default()).await;
    let sign_up = json!({ "email": "a@example.com", "password": PASSWORD });
    app.post("/signup", sign_up).await.is(422, "email_provider_disabled");
    assert_eq!(app.count("auth.users").await, 0);
}

#[tokio::test]
async fn what_would_only_tell_something_goes_on_without_a_letter() {
    let app = App::with_setup(TestDatabase::create().await, settings(), |setup| {
        setup.settings.update(|mail: &mut MailSettings| mail.transport = MailTransport::None);
        setup.settings.update(|told: &mut rowhouse_auth::NotificationSettings| {
            told.mailer_notifications_password_changed_enabled = true;
        });
    })
    .await;
    let person = app.sign_up("a@example.com").await;
    let change = json!({ "password": "another correct horse" }).to_string();
    app.send(Method::PUT, "/user", Some(person.token()), change).await.ok();
}

#[tokio::test]
async fn start_names_the_missing_way_unless_there_is_a_hook() {
    let log = Log::capture();
    let named = || log.lines_with("auth_hooks.send_email is not set").len();
    without_mail(settings(), AuthHookSettings::default()).await;
    assert_eq!(named(), 1);
    let hooked = AuthHookSettings {
        send_email: Some("https://hooks.shop.example/letters".to_owned()),
        ..AuthHookSettings::default()
    };
    without_mail(settings(), hooked).await;
    assert_eq!(named(), 1);
}
