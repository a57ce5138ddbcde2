//! Sessions that are raised, given to applications, or opened by an invitation.

use rowhouse_crypto::digest_hex;
use serde_json::json;

use super::{Places, breakable, breakable_with, count, patiently};
use crate::app::{App, PASSWORD, Person, settings};
use crate::confirmation::strict;
use crate::factor::{Authenticator, STEP, with_factor};
use crate::oauth_server::{Shop, is_oauth_error, oauth_settings, with_site};

fn session_of(app: &App, person: &Person) -> String {
    person.claims(app)["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn challenge_is_made_with_its_audit_entry_or_not_at_all() {
    let (app, counter) = breakable(settings()).await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let made = "select count(*) from audit.entries where action = 'challenge_created'";
    let made =
        async || count(&app, made).await - count(&app, "select count(*) from auth.mfa_challenges").await;
    let before = made().await;
    let mut places = Places::default();
    while let Some((_, ahead, how)) = places.next() {
        counter.break_at(ahead, how);
        let answer = authenticator.challenge(&app, &person).await;
        places.note(&counter, &answer);
        assert_eq!(made().await, before, "{ahead} {how:?}");
    }
    authenticator.verify(&app, &person).await.ok();
}

/// Whoever has not heard that the session was raised learns it from the next refresh.
#[tokio::test]
async fn answer_to_a_challenge_raises_the_session_or_can_be_given_again() {
    let (app, counter) = breakable(settings()).await;
    let (authenticator, _) = with_factor(&app, "a@example.com").await;
    let mut places = Places::default();
    while let Some((_, ahead, how)) = places.next() {
        app.pass(STEP);
        let person = Person(patiently(async || app.password("a@example.com", PASSWORD).await).await.ok());
        let challenge = authenticator.challenge(&app, &person).await.ok()["id"].clone();
        let code = authenticator.code(&app);
        counter.break_at(ahead, how);
        let answer = authenticator.answer(&app, &person, &challenge, &code).await;
        let is_done = places.note(&counter, &answer);
        let raised =
            raised(&app, &authenticator, &session_of(&app, &person), challenge.as_str().unwrap()).await;
        assert!(raised || !is_done);
        if !raised {
            let again = async || authenticator.answer(&app, &person, &challenge, &code).await;
            patiently(again).await.ok();
        }
        let refresh = async || app.refresh(person.refresh_token()).await;
        let refreshed = Person(patiently(refresh).await.ok());
        assert_eq!(refreshed.claims(&app)["aal"], "aal2", "{ahead} {how:?}");
    }
}

/// Whether session, challenge and factor all say so; they must agree.
async fn raised(app: &App, authenticator: &Authenticator, session: &str, challenge: &str) -> bool {
    let step = app.now() / 30;
    let says = format!(
        "select (select (aal = 'aal2')::int from auth.sessions where id = '{session}')
           + (select (verified_at is not null)::int from auth.mfa_challenges where id = '{challenge}')
           + (select (last_totp_step >= {step})::int from auth.mfa_factors where id = '{}')
           + (select count(*) from auth.mfa_amr_claims where session_id = '{session}' and authentication_method = 'totp')",
        authenticator.id
    );
    let says = count(app, &says).await;
    assert!(says == 0 || says == 4, "{says} of session, challenge, factor and methods");
    says == 4
}

#[tokio::test]
async fn applications_code_is_used_up_with_a_session_or_stays() {
    let (app, counter) = breakable_with(with_site(), |setup| setup.settings.put(oauth_settings())).await;
    let person = app.sign_up("a@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let mut places = Places::default();
    while let Some((_, ahead, how)) = places.next() {
        let code = shop.code(&app, &person, "openid email").await;
        counter.break_at(ahead, how);
        let answer = shop.exchange(&app, &code).await;
        let is_done = places.note(&counter, &answer);
        let digest = digest_hex(&code);
        let of = |what: &str| {
            format!(
                "select count(*) from auth.oauth_authorizations a where authorization_code = '{digest}' and {what}"
            )
        };
        let exists = "exists (select from auth.sessions s where s.id = a.session_id)";
        assert_eq!(
            count(&app, &of(&format!("(consumed_at is not null) <> {exists}"))).await,
            0,
            "{ahead} {how:?}"
        );
        if is_done {
            continue;
        }
        let was_used = count(&app, &of("consumed_at is not null")).await == 1;
        let again = patiently(async || shop.exchange(&app, &code).await).await;
        if was_used {
            // Who sends a code again whose tokens it has not heard of is taken for a thief; it asks the user once more.
            is_oauth_error(&again, 400, "invalid_grant");
            assert_eq!(count(&app, &of(exists)).await, 0);
            shop.tokens(&app, &person, "openid email").await;
        } else {
            again.ok();
        }
    }
}

#[tokio::test]
async fn applications_refresh_that_was_not_heard_of_is_repeated() {
    let (app, counter) = breakable_with(with_site(), |setup| setup.settings.put(oauth_settings())).await;
    let person = app.sign_up("a@example.com").await;
    let shop = Shop::public(&app).await;
    let mut tokens = shop.tokens(&app, &person, "openid").await;
    let mut places = Places::default();
    while let Some((_, ahead, how)) = places.next() {
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        counter.break_at(ahead, how);
        let answer = shop.refresh(&app, &token).await;
        tokens = match places.note(&counter, &answer) {
            true => answer.body,
            false => patiently(async || shop.refresh(&app, &token).await).await.ok(),
        };
        assert_ne!(tokens["refresh_token"], token.as_str());
    }
}

#[tokio::test]
async fn invitation_makes_the_account_with_its_letter_or_neither() {
    let (app, counter) = breakable(strict()).await;
    let mut places = Places::default();
    while let Some((number, ahead, how)) = places.next() {
        let email = format!("{number}@example.com");
        let invite = async || app.post_as("/invite", &app.service_key, json!({ "email": email })).await;
        counter.break_at(ahead, how);
        let answer = invite().await;
        let is_done = places.note(&counter, &answer);
        let half = format!(
            "select count(*) from auth.users u where u.email = '{email}' and (
               not exists (select from auth.identities i where i.user_id = u.id)
               or not exists (select from auth.one_time_tokens t where t.user_id = u.id)
               or not exists (select from mail.recipients r where r.address = u.email))"
        );
        assert_eq!(count(&app, &half).await, 0, "{ahead} {how:?}");
        if !is_done {
            patiently(invite).await.ok();
        }
        let code = app.mail_to(&email).await.code();
        patiently(async || app.verify("invite", &email, &code).await).await.ok();
    }
}

#[tokio::test]
async fn accepted_invitation_confirms_and_signs_in_or_stays() {
    let (app, counter) = breakable(strict()).await;
    let mut places = Places::default();
    while let Some((number, ahead, how)) = places.next() {
        let email = format!("{number}@example.com");
        let invite = async || app.post_as("/invite", &app.service_key, json!({ "email": email })).await;
        patiently(invite).await.ok();
        let code = app.mail_to(&email).await.code();
        counter.break_at(ahead, how);
        let answer = app.verify("invite", &email, &code).await;
        let is_done = places.note(&counter, &answer);
        let state = format!(
            "select (email_confirmed_at is not null)::int + (select count(*) from auth.sessions s where s.user_id = u.id)
               + (select 1 - count(*) from auth.one_time_tokens t where t.user_id = u.id)
             from auth.users u where email = '{email}'"
        );
        let state = count(&app, &state).await;
        assert!(
            state == 0 || state == 3,
            "{state} of confirmation, session and used letter at {ahead} {how:?}"
        );
        match patiently(async || app.verify("invite", &email, &code).await).await {
            again if state == 0 && !is_done => drop(again.ok()),
            again => again.is(403, "otp_expired"),
        }
    }
}
