use std::time::Duration;

use rowhouse_auth::{API_KEY_LIFETIME, KeyStore, Revoked};
use rowhouse_crypto::{Purpose, Status};
use rowhouse_db::{Control, DbSettings, Heard, ListenHub};
use rowhouse_kernel::SystemRng;
use rowhouse_testkit::{in_time, until, until_own_time};
use serde_json::json;

use crate::app::{App, settings};

async fn statuses(app: &App, purpose: Purpose) -> Vec<Status> {
    let keys = app.keys.list().await.unwrap();
    let mut statuses: Vec<_> =
        keys.into_iter().filter(|key| key.purpose == purpose).map(|key| key.status).collect();
    statuses.sort_by_key(|status| status.as_str());
    statuses
}

async fn another_store(app: &App) -> KeyStore {
    let control = Control::open(&app.db.urls.control, &DbSettings::default()).unwrap();
    KeyStore::open(control, &settings(), app.origin(), std::sync::Arc::new(SystemRng)).await.unwrap()
}

#[tokio::test]
async fn rotation_invalidates_no_token_and_removes_expired_keys() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let old = app.keys.ring().signing_kid(Purpose::Access).to_owned();
    let new = app.keys.rotate(Purpose::Access, false).await.unwrap().signing;
    assert_ne!(old, new);
    app.get("/user", person.token()).await.ok();
    assert_eq!(statuses(&app, Purpose::Access).await, [Status::Signing, Status::Standby, Status::Verifying]);

    app.pass(Duration::from_secs(2 * 3600));
    app.keys.rotate(Purpose::Access, false).await.unwrap();
    let kids: Vec<_> = app.keys.list().await.unwrap().into_iter().map(|key| key.jwk.kid).collect();
    assert!(!kids.contains(&old) && kids.contains(&new));
}

#[tokio::test]
async fn advisory_locks_of_others_hold_up_no_change_of_keys() {
    let app = App::start().await;
    let other = app.sql().await;
    // the number that changes of keys had locked
    other.batch_execute("select pg_advisory_lock(x'726f77686b657973'::bit(64)::bigint)").await.unwrap();
    app.keys.rotate(Purpose::Access, false).await.unwrap();
}

#[tokio::test]
async fn standby_key_is_published_before_it_signs() {
    let app = App::start().await;
    let before = app.get("/.well-known/jwks.json", "").await;
    assert_eq!(before.headers["cache-control"], "public, max-age=600");
    let kid = app.keys.rotate(Purpose::Access, false).await.unwrap().signing;
    let published = before.ok()["keys"].as_array().unwrap().iter().any(|key| key["kid"] == json!(kid));
    assert!(published);
}

#[tokio::test]
async fn private_halves_of_retired_keys_are_destroyed() {
    let app = App::start().await;
    app.keys.rotate(Purpose::Access, false).await.unwrap();
    let count =
        "select count(*) from auth.signing_keys where status = 'verifying' and length(private_sealed) > 0";
    assert_eq!(app.sql().await.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn api_keys_overlap_until_the_old_one_is_removed() {
    let app = App::start().await;
    let old = app.keys.ring().signing_kid(Purpose::Api).to_owned();
    app.keys.rotate(Purpose::Api, false).await.unwrap();
    app.pass(Duration::from_secs(86_400 * 365));
    app.keys.rotate(Purpose::Access, false).await.unwrap();
    app.get("/admin/users", &app.service_key).await.ok();
    assert_eq!(app.keys.revoke(&old).await.unwrap(), Some(Revoked::SigningKey(Purpose::Api)));
    app.get("/admin/users", &app.service_key).await.is(403, "bad_jwt");
    assert_eq!(app.keys.revoke(&old).await.unwrap(), None);
}

#[tokio::test]
async fn leaked_signing_key_is_replaced_and_refused_at_once() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for purpose in Purpose::ALL {
        let kid = app.keys.ring().signing_kid(purpose).to_owned();
        assert_eq!(app.keys.revoke(&kid).await.unwrap(), Some(Revoked::Signer(purpose)));
        assert_eq!(statuses(&app, purpose).await, [Status::Signing, Status::Standby]);
    }
    app.get("/user", person.token()).await.is(403, "bad_jwt");
    app.get("/admin/users", &app.service_key).await.is(403, "bad_jwt");
    let renewed = crate::app::Person(app.refresh(person.refresh_token()).await.ok());
    app.get("/user", renewed.token()).await.ok();
}

#[tokio::test]
async fn rotation_with_revoke_refuses_earlier_tokens() {
    let app = App::start().await;
    let old = app.keys.ring().signing_kid(Purpose::Api).to_owned();
    let rotated = app.keys.rotate(Purpose::Api, true).await.unwrap();
    assert_eq!(rotated.revoked, [old]);
    app.get("/admin/users", &app.service_key).await.is(403, "bad_jwt");
    assert_eq!(statuses(&app, Purpose::Api).await, [Status::Signing, Status::Standby]);
}

#[tokio::test]
async fn one_api_key_is_revoked_and_the_others_stay_valid() {
    let app = App::start().await;
    let other = app.keys.issue_api_key("service_role", crate::app::URL, API_KEY_LIFETIME).await.unwrap();
    let now = rowhouse_kernel::Clock::now(&*app.clock);
    let claims = app.keys.ring().verify(&other, now).unwrap().claims;
    let id = claims["jti"].as_str().unwrap().to_owned();
    let listed = app.keys.list_api_keys().await.unwrap();
    assert!(listed.iter().any(|key| key.id.to_string() == id && key.revoked_at.is_none()));
    let follower = another_store(&app).await;
    assert_eq!(app.keys.revoke(&id).await.unwrap(), Some(Revoked::ApiKey));
    app.get("/admin/users", &other).await.is(403, "bad_jwt");
    app.get("/admin/users", &app.service_key).await.ok();
    follower.reload().await.unwrap();
    assert!(follower.ring().verify(&other, now).is_err());
    assert_eq!(app.keys.revoke("0198d5a1-0000-7000-8000-000000000001").await.unwrap(), None);
}

#[tokio::test]
async fn processes_share_one_ring_however_many_start_at_once() {
    let app = App::start().await;
    app.sql().await.execute("delete from auth.signing_keys", &[]).await.unwrap();
    let (one, two, three) = tokio::join!(another_store(&app), another_store(&app), another_store(&app));
    let kid = one.ring().signing_kid(Purpose::Access).to_owned();
    assert_eq!(
        (two.ring().signing_kid(Purpose::Access), three.ring().signing_kid(Purpose::Access)),
        (&*kid, &*kid)
    );
    assert_eq!(app.keys.list().await.unwrap().len(), 4);
}

#[tokio::test]
async fn other_processes_follow_a_rotation() {
    let app = App::start().await;
    let follower = another_store(&app).await;
    let hub = ListenHub::default();
    let mut heard = hub.subscribe();
    let listening = hub.clone().run(app.db.urls.control.clone(), vec!["rowhouse_keys"], || ());
    let following = follower.clone().follow(hub.subscribe(), || ());
    let rotating = async {
        assert_eq!(in_time("the first look", heard.recv()).await.unwrap(), Heard::Resync);
        let kid = app.keys.rotate(Purpose::Access, false).await.unwrap().signing;
        let followed = async || follower.ring().signing_kid(Purpose::Access) == kid;
        until("the other follows", Duration::from_secs(10), followed).await;
    };
    tokio::select! {
        () = listening => panic!("it listens"),
        () = following => panic!("it follows"),
        () = rotating => {}
    }
}

#[tokio::test]
async fn revoked_keys_are_refused_within_a_second_without_notifications() {
    let app = App::start().await;
    let follower = another_store(&app).await;
    let now = rowhouse_kernel::Clock::now(&*app.clock);
    let (other_channels, heard) = tokio::sync::broadcast::channel(16);
    let _following = tokio::spawn(follower.clone().follow(heard, || {}));
    // Notifications on other channels must not postpone the poll.
    let _noise = tokio::spawn(async move {
        let notice = Heard::Notice { channel: "rowhouse_jobs".to_owned(), payload: String::new() };
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while let Ok(_heard) = other_channels.send(notice.clone()) {
            pace.tick().await;
        }
    });
    let person = app.sign_up("a@example.com").await;
    let api_key = app.keys.issue_api_key("service_role", crate::app::URL, API_KEY_LIFETIME).await.unwrap();
    let id = app.keys.ring().verify(&api_key, now).unwrap().claims["jti"].as_str().unwrap().to_owned();
    let signer = app.keys.ring().signing_kid(Purpose::Access).to_owned();
    for (id, token) in [(&*id, &*api_key), (&*signer, person.token())] {
        assert!(follower.ring().verify(token, now).is_ok());
        app.keys.revoke(id).await.unwrap().unwrap();
        let refused = async || follower.ring().verify(token, now).is_err();
        until_own_time(format!("{id} is refused"), Duration::from_secs(1), refused).await;
    }
}

#[tokio::test]
async fn wrong_key_secret_is_refused_by_name() {
    let app = App::start().await;
    let control = Control::open(&app.db.urls.control, &DbSettings::default()).unwrap();
    let wrong = rowhouse_auth::AuthSettings {
        key_secret: Some(rowhouse_kernel::Secret::new("not the secret of thirty-two characters")),
        ..settings()
    };
    let error =
        KeyStore::open(control, &wrong, app.origin(), std::sync::Arc::new(SystemRng)).await.unwrap_err();
    assert!(error.to_string().contains("auth.key_secret"), "{error}");
}

#[tokio::test]
async fn every_signing_algorithm_signs_and_verifies() {
    use rowhouse_auth::SigningAlgorithm;
    for (signing_algorithm, name) in [
        (SigningAlgorithm::Es256, "ES256"),
        (SigningAlgorithm::Rs256, "RS256"),
        (SigningAlgorithm::EdDsa, "EdDSA"),
    ] {
        let wanted = rowhouse_auth::AuthSettings { signing_algorithm, ..settings() };
        let app = App::with(wanted).await;
        let person = app.sign_up("a@example.com").await;
        app.get("/user", person.token()).await.ok();
        assert!(app.keys.ring().jwks().keys.iter().all(|key| key.alg.as_str() == name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotations_under_load_fail_no_verification() {
    let app = std::sync::Arc::new(App::start().await);
    let mut users = tokio::task::JoinSet::new();
    for number in 0..8 {
        let app = std::sync::Arc::clone(&app);
        users.spawn(async move {
            let first = app.sign_up(&format!("user{number}@example.com")).await;
            let mut current = first.clone();
            for _ in 0..25 {
                app.get("/user", current.token()).await.ok();
                app.get("/user", first.token()).await.ok();
                current = crate::app::Person(app.refresh(current.refresh_token()).await.ok());
            }
        });
    }
    let before = app.keys.ring().signing_kid(Purpose::Access).to_owned();
    let mut rotations = 0;
    for _ in 0..1_000 {
        app.keys.rotate(Purpose::Access, false).await.unwrap();
        rotations += 1;
        while let Some(ended) = users.try_join_next() {
            ended.unwrap();
        }
        if users.is_empty() {
            break;
        }
    }
    assert!(users.is_empty());
    assert!(rotations >= 3, "{rotations}");
    assert_ne!(app.keys.ring().signing_kid(Purpose::Access), before);
}

#[tokio::test]
async fn discovery_names_the_issuer_and_its_keys_under_every_path() {
    let app = crate::oauth_server::start().await;
    let document = app.get("/.well-known/openid-configuration", "").await;
    assert_eq!(document.headers["cache-control"], "public, max-age=600");
    let document = document.ok();
    assert_eq!(document["issuer"], "http://rowhouse.test/auth/v1");
    assert_eq!(document["jwks_uri"], "http://rowhouse.test/auth/v1/.well-known/jwks.json");
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    for path in [
        "/auth/v1/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/auth/v1",
    ] {
        let request = app.request(http::Method::GET, path);
        assert_eq!(rowhouse_testkit::TestApp::send(&app, request).await.json(), document, "{path}");
    }
}
