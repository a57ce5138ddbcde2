//! Second factors: authenticator apps, and what a session is worth with and without them.

use std::time::Duration;

use http::Method;
use rowhouse_auth::MfaSettings;
use rowhouse_crypto::TotpSecret;
use serde_json::{Value, json};

use crate::app::{Answer, App, PASSWORD, Person, mfa_settings};

pub(crate) const STEP: Duration = Duration::from_secs(30);

/// An authenticator app with one account.
pub(crate) struct Authenticator {
    pub(crate) id: String,
    secret: TotpSecret,
}

impl Authenticator {
    pub(crate) async fn enroll(app: &App, person: &Person, name: &str) -> Self {
        let body = json!({ "factor_type": "totp", "friendly_name": name });
        let factor = app.post_as("/factors", person.token(), body).await.ok();
        let secret = TotpSecret::from_base32(factor["totp"]["secret"].as_str().unwrap()).unwrap();
        Self { id: factor["id"].as_str().unwrap().to_owned(), secret }
    }

    pub(crate) fn code(&self, app: &App) -> String {
        self.secret.code_at(app.now())
    }

    pub(crate) async fn challenge(&self, app: &App, person: &Person) -> Answer {
        app.post_as(&format!("/factors/{}/challenge", self.id), person.token(), json!({})).await
    }

    pub(crate) async fn answer(&self, app: &App, person: &Person, challenge: &Value, code: &str) -> Answer {
        let body = json!({ "challenge_id": challenge, "code": code });
        app.post_as(&format!("/factors/{}/verify", self.id), person.token(), body).await
    }

    /// Challenge and answer.
    pub(crate) async fn verify(&self, app: &App, person: &Person) -> Answer {
        let challenge = self.challenge(app, person).await.ok();
        self.answer(app, person, &challenge["id"], &self.code(app)).await
    }
}

/// A new user with a verified factor, and the session that has verified it.
pub(crate) async fn with_factor(app: &App, email: &str) -> (Authenticator, Person) {
    let person = app.sign_up(email).await;
    let authenticator = Authenticator::enroll(app, &person, "phone").await;
    let person = Person(authenticator.verify(app, &person).await.ok());
    app.pass(STEP);
    (authenticator, person)
}

fn methods(claims: &Value) -> Vec<&str> {
    claims["amr"].as_array().unwrap().iter().map(|entry| entry["method"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn authenticator_is_enrolled_and_raises_the_session() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    assert_eq!(person.claims(&app)["aal"], "aal1");
    let body = json!({ "factor_type": "totp", "friendly_name": "phone", "issuer": "Acme" });
    let answer = app.post_as("/factors", person.token(), body).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let factor = answer.ok();
    let (totp, id) = (&factor["totp"], factor["id"].as_str().unwrap());
    let secret = totp["secret"].as_str().unwrap();
    assert_eq!(
        (&factor["type"], &factor["friendly_name"], secret.len()),
        (&json!("totp"), &json!("phone"), 32)
    );
    let uri = format!(
        "otpauth://totp/Acme:a%40example.com?algorithm=SHA1&digits=6&issuer=Acme&period=30&secret={secret}"
    );
    assert_eq!(totp["uri"], uri);
    assert!(totp["qr_code"].as_str().unwrap().starts_with("<svg "));

    let authenticator = Authenticator { id: id.to_owned(), secret: TotpSecret::from_base32(secret).unwrap() };
    let challenge = authenticator.challenge(&app, &person).await.ok();
    assert_eq!((&challenge["type"], &challenge["expires_at"]), (&json!("totp"), &json!(app.now() + 300)));
    app.pass(Duration::from_secs(1));
    let code = authenticator.code(&app);
    let raised = Person(authenticator.answer(&app, &person, &challenge["id"], &code).await.ok());
    assert_eq!(raised.claims(&app)["session_id"], person.claims(&app)["session_id"]);
    let refreshed = Person(app.refresh(raised.refresh_token()).await.ok());
    for session in [&raised, &refreshed] {
        let claims = session.claims(&app);
        assert_eq!((&claims["aal"], methods(&claims)), (&json!("aal2"), vec!["totp", "password"]));
    }
    let user = app.get("/user", refreshed.token()).await.ok();
    let shown = &user["factors"][0];
    assert_eq!((&shown["status"], &shown["factor_type"]), (&json!("verified"), &json!("totp")));
    assert!(shown.get("secret").is_none());
}

#[tokio::test]
async fn secret_is_stored_sealed_and_an_imported_one_is_read_and_sealed() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let stored = async || -> String {
        let row = app.sql().await.query_one("select secret from auth.mfa_factors", &[]).await.unwrap();
        row.get(0)
    };
    let plain = authenticator.secret.to_base32();
    assert!(stored().await.starts_with("sealed:") && !stored().await.contains(plain.as_str()));
    app.sql().await.execute("update auth.mfa_factors set secret = $1", &[&plain.as_str()]).await.unwrap();
    authenticator.verify(&app, &person).await.ok();
    assert!(stored().await.starts_with("sealed:"));
    app.pass(STEP);
    authenticator.verify(&app, &person).await.ok();
    // Sealed for another factor, it does not open.
    let moved = "with answered as (delete from auth.mfa_challenges) \
                 update auth.mfa_factors set id = gen_random_uuid() returning id::text";
    let id: String = app.sql().await.query_one(moved, &[]).await.unwrap().get(0);
    app.pass(STEP);
    let moved = Authenticator { id, ..authenticator };
    moved.verify(&app, &person).await.is(500, "unexpected_failure");
}

#[tokio::test]
async fn code_is_accepted_once() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let code = authenticator.code(&app);
    let previous = {
        let challenge = authenticator.challenge(&app, &person).await.ok();
        authenticator.answer(&app, &person, &challenge["id"], &code).await.ok();
        authenticator.secret.code_at(app.now() - 30)
    };
    for code in [code, previous] {
        let challenge = authenticator.challenge(&app, &person).await.ok();
        let again = authenticator.answer(&app, &person, &challenge["id"], &code).await;
        again.is(422, "mfa_verification_failed");
    }
    app.pass(STEP);
    authenticator.verify(&app, &person).await.ok();
}

#[tokio::test]
async fn challenge_is_answered_once_in_time_and_from_where_it_was_asked() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let challenge = authenticator.challenge(&app, &person).await.ok()["id"].clone();
    let code = authenticator.code(&app);
    app.come_from(2);
    authenticator.answer(&app, &person, &challenge, &code).await.is(422, "mfa_ip_address_mismatch");
    app.come_from(1);
    authenticator.answer(&app, &person, &challenge, &code).await.ok();
    app.pass(STEP);
    let code = authenticator.code(&app);
    authenticator.answer(&app, &person, &challenge, &code).await.is(422, "mfa_ip_address_mismatch");

    let challenge = authenticator.challenge(&app, &person).await.ok()["id"].clone();
    app.pass(Duration::from_secs(300));
    let code = authenticator.code(&app);
    authenticator.answer(&app, &person, &challenge, &code).await.is(422, "mfa_challenge_expired");
    let unknown = json!("00000000-0000-0000-0000-000000000000");
    authenticator.answer(&app, &person, &unknown, &code).await.is(422, "mfa_factor_not_found");
    authenticator.answer(&app, &person, &json!("x"), &code).await.is(400, "bad_json");
    authenticator.answer(&app, &person, &unknown, "").await.is(400, "validation_failed");
}

#[tokio::test]
async fn factors_and_challenges_of_others_are_out_of_reach() {
    let app = App::start().await;
    let (theirs, them) = with_factor(&app, "a@example.com").await;
    let (mine, me) = with_factor(&app, "b@example.com").await;
    theirs.challenge(&app, &me).await.is(404, "mfa_factor_not_found");
    let challenge = theirs.challenge(&app, &them).await.ok()["id"].clone();
    theirs.answer(&app, &me, &challenge, &theirs.code(&app)).await.is(404, "mfa_factor_not_found");
    mine.answer(&app, &me, &challenge, &mine.code(&app)).await.is(422, "mfa_factor_not_found");
    app.delete_as(&format!("/factors/{}", theirs.id), me.token()).await.is(404, "mfa_factor_not_found");
    app.delete_as("/factors/x", me.token()).await.is(404, "validation_failed");
    theirs.answer(&app, &them, &challenge, &theirs.code(&app)).await.ok();
}

#[tokio::test]
async fn wrong_codes_lock_the_factor_for_a_growing_time() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let challenge = authenticator.challenge(&app, &person).await.ok()["id"].clone();
    let guess = async |code: &str| authenticator.answer(&app, &person, &challenge, code).await;
    for _ in 0..5 {
        guess("000000").await.is(422, "mfa_verification_failed");
    }
    let right = authenticator.code(&app);
    let locked = guess(&right).await;
    locked.is(429, "over_request_rate_limit");
    assert_eq!(locked.headers["retry-after"], "30");
    app.pass(STEP);
    guess("000000").await.is(422, "mfa_verification_failed");
    assert_eq!(guess("000000").await.headers["retry-after"], "60");
    app.pass(Duration::from_secs(60));
    guess(&authenticator.code(&app)).await.ok();
    let row = app.sql().await.query_one("select failed_attempts from auth.mfa_factors", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 0);
}

#[tokio::test]
async fn requests_about_factors_are_limited_per_user_and_per_address() {
    let app = App::with_mfa(MfaSettings { mfa_rate_per_5min: 3, ..mfa_settings() }).await;
    let (first, second) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
    let authenticator = Authenticator::enroll(&app, &first, "phone").await;
    for address in 2..=3 {
        app.come_from(address);
        authenticator.challenge(&app, &first).await.ok();
    }
    app.come_from(4);
    authenticator.challenge(&app, &first).await.is(429, "over_request_rate_limit");
    for _ in 0..2 {
        authenticator.challenge(&app, &second).await.is(404, "mfa_factor_not_found");
    }
    authenticator.challenge(&app, &second).await.is(429, "over_request_rate_limit");
}

#[tokio::test]
async fn verifying_ends_sessions_without_the_factor_and_spends_their_tokens() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let other = app.sign_in("a@example.com").await;
    let authenticator = Authenticator::enroll(&app, &first, "phone").await;
    let raised = Person(authenticator.verify(&app, &first).await.ok());
    app.get("/user", other.token()).await.is(403, "session_not_found");
    app.refresh(other.refresh_token()).await.is(400, "refresh_token_not_found");

    app.pass(STEP);
    let second = app.sign_in("a@example.com").await;
    let second = Person(authenticator.verify(&app, &second).await.ok());
    app.get("/user", raised.token()).await.ok();
    app.get("/user", second.token()).await.ok();
    // The refresh token from before the factor is worth nothing afterwards: it is not the new one's parent.
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_already_used");
}

#[tokio::test]
async fn enrolment_has_its_limits() {
    let app = App::with_mfa(MfaSettings { mfa_max_enrolled_factors: 3, ..mfa_settings() }).await;
    let (authenticator, raised) = with_factor(&app, "a@example.com").await;
    let low = app.sign_in("a@example.com").await;
    let enroll = async |person: &Person, name: &str| {
        let body = json!({ "factor_type": "totp", "friendly_name": name });
        app.post_as("/factors", person.token(), body).await
    };
    enroll(&low, "second").await.is(403, "insufficient_aal");
    enroll(&raised, "phone").await.is(422, "mfa_factor_name_conflict");
    enroll(&raised, &"x".repeat(121)).await.is(400, "validation_failed");
    enroll(&raised, "second").await.ok();
    enroll(&raised, "third").await.ok();
    enroll(&raised, "fourth").await.is(422, "too_many_enrolled_mfa_factors");
    // What was never verified makes room.
    app.pass(Duration::from_secs(301));
    enroll(&raised, "second").await.ok();
    let user = app.get("/user", raised.token()).await.ok();
    assert_eq!(user["factors"].as_array().unwrap().len(), 2);
    authenticator.verify(&app, &raised).await.ok();
    let user = app.get("/user", raised.token()).await.ok();
    assert_eq!(
        user["factors"].as_array().unwrap().len(),
        1,
        "unfinished enrolments of the kind are given up"
    );
}

#[tokio::test]
async fn enrolment_needs_a_known_user_and_an_allowed_kind() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let enroll = async |kind: &str| {
        app.post_as("/factors", person.token(), json!({ "factor_type": kind, "phone": "+15555550123" })).await
    };
    enroll("carrier pigeon").await.is(400, "validation_failed");
    enroll("phone").await.is(422, "mfa_phone_enroll_not_enabled");
    app.send(Method::POST, "/factors", None, "{}").await.is(401, "no_authorization");
    app.post_as("/factors", &app.anon_key().await, json!({})).await.is(403, "bad_jwt");
    app.sql().await.execute("update auth.users set is_anonymous = true", &[]).await.unwrap();
    enroll("totp").await.is(403, "no_authorization");
}

#[tokio::test]
async fn kinds_that_are_switched_off_are_refused() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let off = MfaSettings { mfa_totp_enabled: false, ..mfa_settings() };
    let app = App::with_setup(app.db.clone(), crate::app::settings(), |setup| setup.settings.put(off)).await;
    authenticator.challenge(&app, &person).await.is(422, "mfa_totp_verify_not_enabled");
    let body = json!({ "factor_type": "totp", "friendly_name": "second" });
    app.post_as("/factors", person.token(), body).await.is(422, "mfa_totp_enroll_not_enabled");
}

#[tokio::test]
async fn removed_factor_lowers_the_sessions_that_it_has_raised() {
    let app = App::start().await;
    let (authenticator, first) = with_factor(&app, "a@example.com").await;
    let path = format!("/factors/{}", authenticator.id);
    let low = app.sign_in("a@example.com").await;
    app.delete_as(&path, low.token()).await.is(422, "insufficient_aal");
    let second = Person(authenticator.verify(&app, &low).await.ok());
    assert_eq!(app.delete_as(&path, second.token()).await.ok(), json!({ "id": authenticator.id }));
    for session in [&first, &second] {
        let claims = Person(app.refresh(session.refresh_token()).await.ok()).claims(&app);
        assert_eq!((&claims["aal"], methods(&claims)), (&json!("aal1"), vec!["password"]));
    }
    app.delete_as(&path, second.token()).await.is(404, "mfa_factor_not_found");
}

#[tokio::test]
async fn new_password_or_address_needs_the_second_factor() {
    let app = App::start().await;
    let (authenticator, _) = with_factor(&app, "a@example.com").await;
    let low = app.sign_in("a@example.com").await;
    let change = async |person: &Person, body: Value| app.put_as("/user", person.token(), body).await;
    change(&low, json!({ "password": "battery staple" })).await.is(401, "insufficient_aal");
    change(&low, json!({ "password": PASSWORD })).await.is(401, "insufficient_aal");
    change(&low, json!({ "email": "b@example.com" })).await.is(401, "insufficient_aal");
    change(&low, json!({ "email": "a@example.com", "data": { "n": 1 } })).await.ok();
    let raised = Person(authenticator.verify(&app, &low).await.ok());
    change(&raised, json!({ "password": "battery staple", "email": "b@example.com" })).await.ok();
}

#[tokio::test]
async fn operator_lists_renames_and_removes_factors() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    Authenticator::enroll(&app, &person, "tablet").await;
    let (key, path) = (app.service_key.clone(), format!("/admin/users/{}/factors", person.id()));
    let factors = app.get(&path, &key).await.ok();
    let names: Vec<_> = factors.as_array().unwrap().iter().map(|f| f["friendly_name"].clone()).collect();
    assert_eq!(names, ["phone", "tablet"]);
    let one = format!("{path}/{}", authenticator.id);
    let renamed = app.put_as(&one, &key, json!({ "friendly_name": "old phone" })).await.ok();
    assert_eq!((&renamed["friendly_name"], &renamed["id"]), (&json!("old phone"), &json!(authenticator.id)));
    app.put_as(&one, &key, json!({ "friendly_name": "tablet" })).await.is(422, "mfa_factor_name_conflict");
    app.get(&path, person.token()).await.is(403, "not_admin");
    assert_eq!(app.delete_as(&one, &key).await.ok()["friendly_name"], "old phone");
    assert_eq!(Person(app.refresh(person.refresh_token()).await.ok()).claims(&app)["aal"], "aal1");
    app.delete_as(&one, &key).await.is(404, "mfa_factor_not_found");
    app.put_as(&one, &key, json!({})).await.is(404, "mfa_factor_not_found");
    let nobody = "/admin/users/00000000-0000-0000-0000-000000000000/factors";
    app.get(nobody, &key).await.is(404, "user_not_found");
    app.get("/admin/users/x/factors", &key).await.is(404, "validation_failed");
}

#[tokio::test]
async fn what_happens_to_factors_is_audited() {
    let app = App::start().await;
    let (authenticator, person) = with_factor(&app, "a@example.com").await;
    let challenge = authenticator.challenge(&app, &person).await.ok();
    authenticator.answer(&app, &person, &challenge["id"], "000000").await.is(422, "mfa_verification_failed");
    app.delete_as(&format!("/factors/{}", authenticator.id), person.token()).await.ok();
    let sql = "select payload ->> 'action', payload -> 'traits' ->> 'outcome', payload ->> 'actor_id' \
               from auth.audit_log_entries where payload ->> 'log_type' = 'factor' order by created_at";
    let rows = app.sql().await.query(sql, &[]).await.unwrap();
    let told: Vec<(String, Option<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("factor_in_progress", None),
        ("challenge_created", None),
        ("verification_attempted", Some("success")),
        ("challenge_created", None),
        ("verification_attempted", Some("failure")),
        ("factor_unenrolled", None),
    ];
    assert_eq!(told, expected.map(|(action, outcome)| (action.to_owned(), outcome.map(str::to_owned))));
    assert!(rows.iter().all(|row| row.get::<_, Option<&str>>(2) == Some(person.id())));
}
