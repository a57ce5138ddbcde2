//! Security keys as second factors, with an authenticator in software.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_auth::MfaSettings;
use rowhouse_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::app::{Answer, App, Person, mfa_settings};
use crate::factor::Authenticator;

pub(crate) const ORIGIN: &str = "http://rowhouse.test";
pub(crate) const RP_ID: &str = "rowhouse.test";

pub(crate) async fn start() -> App {
    App::with_mfa(MfaSettings { mfa_webauthn_enabled: true, passkeys_enabled: true, ..mfa_settings() }).await
}

pub(crate) fn authenticator() -> SoftAuthenticator {
    SoftAuthenticator::new(RP_ID, ORIGIN)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn challenge(options: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(options["challenge"].as_str().unwrap()).unwrap()
}

/// What a browser answers to `create`.
pub(crate) fn created(authenticator: &SoftAuthenticator, options: &Value) -> Value {
    let answer = authenticator.create(&challenge(options));
    let id = encode(&authenticator.id);
    json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": encode(&answer.client_data),
            "attestationObject": encode(&answer.attestation_object),
            "transports": ["usb", "telepathy"],
        },
    })
}

/// What a browser answers to `get`.
pub(crate) fn asserted(authenticator: &mut SoftAuthenticator, options: &Value, user: &str) -> Value {
    let answer = authenticator.get(&challenge(options));
    let id = encode(&authenticator.id);
    json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": encode(&answer.client_data),
            "authenticatorData": encode(&answer.authenticator_data),
            "signature": encode(&answer.signature),
            "userHandle": encode(user.as_bytes()),
        },
    })
}

/// A factor that is enrolled and not verified.
async fn enroll(app: &App, person: &Person, name: &str) -> String {
    let body = json!({ "factor_type": "webauthn", "friendly_name": name });
    let factor = app.post_as("/factors", person.token(), body).await.ok();
    assert_eq!((&factor["type"], factor.get("totp")), (&json!("webauthn"), None));
    factor["id"].as_str().unwrap().to_owned()
}

/// The challenge's id, type and options.
async fn ask(app: &App, person: &Person, factor: &str) -> (Value, Value, Value) {
    let body = json!({ "webauthn": { "rpId": RP_ID, "rpOrigins": [ORIGIN] } });
    let challenge = app.post_as(&format!("/factors/{factor}/challenge"), person.token(), body).await.ok();
    let webauthn = &challenge["webauthn"];
    let options = webauthn["credential_options"]["publicKey"].clone();
    (challenge["id"].clone(), webauthn["type"].clone(), options)
}

async fn answer(
    app: &App,
    person: &Person,
    factor: &str,
    challenge: &Value,
    kind: &str,
    credential: Value,
) -> Answer {
    let webauthn =
        json!({ "type": kind, "rpId": RP_ID, "rpOrigins": [ORIGIN], "credential_response": credential });
    let body = json!({ "challenge_id": challenge, "webauthn": webauthn });
    app.post_as(&format!("/factors/{factor}/verify"), person.token(), body).await
}

/// A new user with a verified key.
async fn with_key(app: &App, email: &str) -> (SoftAuthenticator, String, Person) {
    let person = app.sign_up(email).await;
    add_key(app, &person).await
}

async fn add_key(app: &App, person: &Person) -> (SoftAuthenticator, String, Person) {
    let authenticator = authenticator();
    let factor = enroll(app, person, "key").await;
    let (id, _, options) = ask(app, person, &factor).await;
    let created = created(&authenticator, &options);
    let raised = Person(answer(app, person, &factor, &id, "create", created).await.ok());
    (authenticator, factor, raised)
}

#[tokio::test]
async fn factor_enrolled_by_somebody_with_the_password_alone_raises_nothing() {
    let app = start().await;
    let ann = app.sign_up("a@example.com").await;
    let stranger = app.sign_in("a@example.com").await;
    let planted = Authenticator::enroll(&app, &stranger, "planted").await;
    let (_, _, raised) = add_key(&app, &ann).await;
    let user = app.get("/user", raised.token()).await.ok();
    assert_eq!(user["factors"].as_array().unwrap().len(), 1, "{user}");
    let stranger = app.sign_in("a@example.com").await;
    planted.challenge(&app, &stranger).await.is(404, "mfa_factor_not_found");
    // Nor one that the user is enrolling.
    let second = Authenticator::enroll(&app, &raised, "second").await;
    second.challenge(&app, &stranger).await.is(403, "insufficient_aal");
    let challenge = second.challenge(&app, &raised).await.ok()["id"].clone();
    let code = second.code(&app);
    second.answer(&app, &stranger, &challenge, &code).await.is(403, "insufficient_aal");
    second.answer(&app, &raised, &challenge, &code).await.ok();
}

#[tokio::test]
async fn key_is_enrolled_and_raises_further_sessions() {
    let app = start().await;
    let person = app.sign_up("a@example.com").await;
    let factor = enroll(&app, &person, "key").await;
    let (id, kind, options) = ask(&app, &person, &factor).await;
    assert_eq!(kind, "create");
    assert_eq!(options["rp"], json!({ "id": RP_ID, "name": RP_ID }));
    assert_eq!(options["user"]["id"], encode(person.id().as_bytes()));
    assert_eq!(
        (&options["user"]["name"], &options["attestation"]),
        (&json!("a@example.com"), &json!("none"))
    );
    let mut authenticator = authenticator();
    let created = created(&authenticator, &options);
    let raised = Person(answer(&app, &person, &factor, &id, "create", created).await.ok());
    assert_eq!(
        (&raised.claims(&app)["aal"], &raised.0["user"]["factors"][0]["status"]),
        (&json!("aal2"), &json!("verified"))
    );

    let low = app.sign_in("a@example.com").await;
    let (id, kind, options) = ask(&app, &low, &factor).await;
    assert_eq!((kind, &options["rpId"]), (json!("request"), &json!(RP_ID)));
    assert_eq!(
        options["allowCredentials"],
        json!([{ "type": "public-key", "id": encode(&authenticator.id) }])
    );
    app.pass(Duration::from_secs(1));
    let asserted = asserted(&mut authenticator, &options, person.id());
    let raised = Person(answer(&app, &low, &factor, &id, "request", asserted).await.ok());
    let claims = raised.claims(&app);
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal2"), &json!("mfa/webauthn")));
    let sql = "select web_authn_credential -> 'transport', web_authn_credential #>> '{authenticator,signCount}' \
               from auth.mfa_factors";
    let row = app.sql().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, Value>(0), row.get::<_, &str>(1)), (json!(["usb"]), "1"));
}

/// A change to an authenticator that its relying party must notice.
type Change = fn(&mut SoftAuthenticator);

#[tokio::test]
async fn forged_answers_are_refused_and_use_the_challenge_up() {
    let app = start().await;
    let (mut authenticator, factor, person) = with_key(&app, "a@example.com").await;
    let changes: [Change; 4] = [
        |key| key.origin = "https://evil.example".to_owned(),
        |key| key.rp_id = "evil.example".to_owned(),
        |key| key.flags = 0,
        |key| {
            let id = key.id.clone();
            *key = self::authenticator();
            key.id = id;
        },
    ];
    for change in changes {
        let (id, _, options) = ask(&app, &person, &factor).await;
        let mut forger = authenticator.copy();
        change(&mut forger);
        let forged = asserted(&mut forger, &options, person.id());
        answer(&app, &person, &factor, &id, "request", forged).await.is(422, "mfa_verification_failed");
        let right = asserted(&mut authenticator, &options, person.id());
        answer(&app, &person, &factor, &id, "request", right).await.is(422, "mfa_ip_address_mismatch");
        app.pass(Duration::from_secs(900));
    }
}

#[tokio::test]
async fn replayed_answers_and_cloned_keys_are_refused() {
    let app = start().await;
    let (mut authenticator, factor, person) = with_key(&app, "a@example.com").await;
    let mut clone = authenticator.copy();
    let (id, _, options) = ask(&app, &person, &factor).await;
    let right = asserted(&mut authenticator, &options, person.id());
    answer(&app, &person, &factor, &id, "request", right.clone()).await.ok();
    answer(&app, &person, &factor, &id, "request", right.clone()).await.is(422, "mfa_ip_address_mismatch");
    let (id, _, options) = ask(&app, &person, &factor).await;
    answer(&app, &person, &factor, &id, "request", right).await.is(422, "mfa_verification_failed");
    let (id, ..) = ask(&app, &person, &factor).await;
    let stale = asserted(&mut authenticator, &options, person.id());
    answer(&app, &person, &factor, &id, "request", stale).await.is(422, "mfa_verification_failed");
    // The copy's counter is behind.
    let (id, _, options) = ask(&app, &person, &factor).await;
    let cloned = asserted(&mut clone, &options, person.id());
    answer(&app, &person, &factor, &id, "request", cloned).await.is(422, "mfa_verification_failed");
    let (id, _, options) = ask(&app, &person, &factor).await;
    let right = asserted(&mut authenticator, &options, person.id());
    answer(&app, &person, &factor, &id, "request", right).await.ok();
}

#[tokio::test]
async fn verified_key_is_not_replaced_by_a_new_one() {
    let app = start().await;
    let (_, factor, person) = with_key(&app, "a@example.com").await;
    let (id, _, options) = ask(&app, &person, &factor).await;
    let created = created(&authenticator(), &options);
    answer(&app, &person, &factor, &id, "create", created).await.is(422, "mfa_verification_failed");
}

#[tokio::test]
async fn malformed_answers_are_refused() {
    let app = start().await;
    let (_, factor, person) = with_key(&app, "a@example.com").await;
    let (id, ..) = ask(&app, &person, &factor).await;
    let refused = async |webauthn: Value| {
        let body = json!({ "challenge_id": id, "webauthn": webauthn });
        app.post_as(&format!("/factors/{factor}/verify"), person.token(), body)
            .await
            .is(400, "validation_failed");
    };
    refused(json!(null)).await;
    refused(json!({})).await;
    refused(json!({ "type": "conjure", "credential_response": {} })).await;
    refused(json!({ "type": "request" })).await;
    refused(json!({ "type": "request", "credential_response": { "rawId": "?" } })).await;
}

#[tokio::test]
async fn keys_are_off_unless_they_are_switched_on() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let body = json!({ "factor_type": "webauthn", "friendly_name": "key" });
    app.post_as("/factors", person.token(), body).await.is(422, "mfa_webauthn_enroll_not_enabled");
    let on = start().await;
    let (_, factor, person) = with_key(&on, "a@example.com").await;
    let off =
        App::with_setup(on.db.clone(), crate::app::settings(), |setup| setup.settings.put(mfa_settings()))
            .await;
    let path = format!("/factors/{factor}/challenge");
    off.post_as(&path, person.token(), json!({})).await.is(422, "mfa_webauthn_verify_not_enabled");
}
