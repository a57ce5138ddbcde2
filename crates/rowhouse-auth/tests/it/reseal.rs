//! A change of `auth.key_secret`: everything that was sealed with it is sealed anew, and nobody notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_auth::{AuthSettings, KeyStore, Resealed, sealed_columns};
use rowhouse_crypto::{Envelope, sha256_base64url};
use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::JobsSettings;
use rowhouse_kernel::{Secret, SystemRng};
use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::app::{App, PASSWORD, Person};
use crate::external::{FakeProvider, acme, parameter, person, visit};
use crate::factor::{Authenticator, with_factor};

pub(crate) const OLD: &str = "the first key secret of thirty-two characters";
pub(crate) const NEW: &str = "the second key secret of thirty-two characters";
const VERIFIER: &str = "a verifier of at least forty-three characters";

pub(crate) fn keyed(settings: AuthSettings, secret: &str, previous: Option<&str>) -> AuthSettings {
    let key_secret_previous = previous.map(Secret::new);
    AuthSettings { key_secret: Some(Secret::new(secret)), key_secret_previous, ..settings }
}

pub(crate) async fn on(db: TestDatabase, settings: AuthSettings) -> App {
    App::with_setup(db, settings, |setup| {
        setup.settings.update(|jobs: &mut JobsSettings| jobs.allow_private_urls = true);
    })
    .await
}

async fn open(app: &App, settings: &AuthSettings) -> Result<KeyStore, String> {
    let control = Control::open(&app.db.urls.control, &DbSettings::default()).unwrap();
    let store = KeyStore::open(control, settings, app.origin(), Arc::new(SystemRng)).await;
    store.map_err(|error| error.to_string())
}

/// What users hold while the secret is changed.
pub(crate) struct Held {
    user: Person,
    authenticator: Authenticator,
    recovery_code: String,
    letter_code: String,
    auth_code: String,
    waiting: String,
}

impl Held {
    /// Every kind of sealed value, and codes of every kind.
    pub(crate) async fn make(app: &App, provider: &FakeProvider) -> Self {
        let (authenticator, user) = with_factor(app, "a@example.com").await;
        let codes = app.post_as("/factors/recovery_codes", user.token(), json!({})).await.ok();
        app.post("/otp", json!({ "email": "a@example.com" })).await.ok();
        let made = json!({
            "provider_type": "oidc", "identifier": "custom:acme", "name": "Acme", "client_id": "web",
            "client_secret": "sesame", "issuer": provider.url,
        });
        let made = app.post_as("/admin/custom-providers", &app.service_key, made).await;
        assert_eq!(made.status, 201, "{}", made.body);
        keep_tenant_secret(app).await;
        let challenge = sha256_base64url(VERIFIER.as_bytes());
        let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
        let there = visit(app, &path).await.target();
        let back = visit(app, &provider.admit(&there, person("9", "b@example.com", true))).await.target();
        let there = visit(app, "/authorize?provider=custom:acme").await.target();
        Self {
            user,
            authenticator,
            recovery_code: codes["codes"][0].as_str().unwrap().to_owned(),
            letter_code: app.mail_to("a@example.com").await.code(),
            auth_code: parameter(&back, "code").unwrap(),
            waiting: provider.admit(&there, person("10", "c@example.com", true)),
        }
    }

    /// All of it still works.
    pub(crate) async fn check(&self, app: &App) {
        app.get("/user", self.user.token()).await.ok();
        let user = Person(app.refresh(self.user.refresh_token()).await.ok());
        let exchange = json!({ "auth_code": self.auth_code, "code_verifier": VERIFIER });
        let session = app.post("/token?grant_type=pkce", exchange).await.ok();
        assert_eq!(session["provider_token"], "theirs");
        let back = visit(app, &self.waiting).await.target();
        assert!(parameter(&back, "access_token").is_some(), "{back}");
        app.verify("email", "a@example.com", &self.letter_code).await.ok();
        app.pass(Duration::from_secs(90));
        self.authenticator.verify(app, &user).await.ok();
        let low = app.sign_in("a@example.com").await;
        let code = json!({ "code": self.recovery_code });
        app.post_as("/factors/recovery_codes/verify", low.token(), code).await.ok();
        app.password("a@example.com", PASSWORD).await.ok();
    }
}

/// A secret among the settings of a tenant, sealed with the former secret.
async fn keep_tenant_secret(app: &App) {
    let envelope = Envelope::new(&Secret::new(OLD)).unwrap();
    let id = uuid::Uuid::from_u128(11);
    let sealed = rowhouse_tenancy::sealed::seal(&envelope, id, "sesame", &SystemRng).unwrap();
    let sql = "insert into tenancy.tenant_settings (id, tenant_id, name, kind, sealed)
        select $1, t.id, 'smtp.password', 'secret', $2 from tenancy.tenants t limit 1";
    assert_eq!(app.sql().await.execute(sql, &[&id, &sealed]).await.unwrap(), 1);
}

pub(crate) fn counts(resealed: &[Resealed]) -> BTreeMap<&'static str, (u64, u64)> {
    resealed.iter().map(|column| (column.column, (column.resealed, column.current))).collect()
}

#[tokio::test]
async fn everything_is_sealed_anew_and_users_stay_signed_in() {
    let provider = FakeProvider::start().await;
    let first = on(TestDatabase::create().await, keyed(acme(&provider), OLD, None)).await;
    let held = Held::make(&first, &provider).await;
    let both = keyed(acme(&provider), NEW, Some(OLD));
    let store = open(&first, &both).await.unwrap();
    let tried = counts(&store.reseal(true).await.unwrap());
    assert!(tried.values().all(|(resealed, current)| *resealed > 0 && *current == 0), "{tried:?}");
    assert_eq!(tried.keys().copied().collect::<BTreeSet<_>>(), sealed_columns().into_iter().collect());
    open(&first, &keyed(acme(&provider), OLD, None)).await.expect("a dry run changes nothing");
    assert_eq!(counts(&store.reseal(false).await.unwrap()), tried);
    let again = counts(&store.reseal(false).await.unwrap());
    assert!(again.values().all(|(resealed, current)| *resealed == 0 && *current > 0), "{again:?}");
    let refused = open(&first, &keyed(acme(&provider), OLD, None)).await.unwrap_err();
    assert!(refused.contains("auth.key_secret"), "{refused}");
    let noted = "select count(*) from audit.entries where action = 'keys_resealed'";
    assert_eq!(first.sql().await.query_one(noted, &[]).await.unwrap().get::<_, i64>(0), 2);

    let second = on(first.db.clone(), keyed(acme(&provider), NEW, None)).await;
    held.check(&second).await;
    let key = second
        .app_send(second.request(reqwest::Method::GET, "/auth/v1/settings").header("apikey", &first.anon_key))
        .await;
    assert_eq!(key.0, 200);
}

#[tokio::test]
async fn both_secrets_together_serve_before_and_after() {
    let provider = FakeProvider::start().await;
    let first = on(TestDatabase::create().await, keyed(acme(&provider), OLD, None)).await;
    let held = Held::make(&first, &provider).await;
    // A server that still goes on with the former secret knows the new one, and makes the same codes.
    let early = on(first.db.clone(), keyed(acme(&provider), OLD, Some(NEW))).await;
    let second = on(first.db.clone(), keyed(acme(&provider), NEW, Some(OLD))).await;
    second.post("/otp", json!({ "email": "e@example.com" })).await.ok();
    let code = early.mail_to("e@example.com").await;
    assert_eq!(code.kind, "magic_link");
    early.verify("email", "e@example.com", &code.code()).await.ok();
    held.check(&second).await;
    // What was sealed in between is under the new secret.
    let count = counts(&second.keys.reseal(true).await.unwrap());
    assert_eq!(count["auth.signing_keys.private_sealed"], (4, 0));
    let (_, user) = with_factor(&second, "d@example.com").await;
    second.get("/user", user.token()).await.ok();
    let count = counts(&second.keys.reseal(false).await.unwrap());
    assert_eq!(count["auth.mfa_factors.secret"], (1, 1));
}

#[tokio::test]
async fn value_that_no_secret_opens_is_named_and_left() {
    let provider = FakeProvider::start().await;
    let app = on(TestDatabase::create().await, keyed(acme(&provider), OLD, None)).await;
    with_factor(&app, "a@example.com").await;
    with_factor(&app, "b@example.com").await;
    let sql = app.sql().await;
    let spoil = "update auth.mfa_factors f set secret = 'sealed:' || replace(encode(decode(substr(secret, 8), 'base64') || '\\x00', 'base64'), chr(10), '')
        where id = (select id from auth.mfa_factors order by id desc limit 1)";
    sql.execute(spoil, &[]).await.unwrap();
    let stored = async || -> Vec<String> {
        let rows = sql.query("select secret from auth.mfa_factors order by id", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = stored().await;
    let store = open(&app, &keyed(acme(&provider), NEW, Some(OLD))).await.unwrap();
    let refused = store.reseal(false).await.unwrap_err().to_string();
    assert!(refused.starts_with("auth.mfa_factors.secret: the value of "), "{refused}");
    assert_eq!(stored().await, before);
}

/// Columns say in their comments that their values are sealed.
#[tokio::test]
async fn every_column_that_is_sealed_is_sealed_anew() {
    let app = App::start().await;
    let sql = "select c.table_schema || '.' || c.table_name || '.' || c.column_name from information_schema.columns c
        where c.table_schema not in ('pg_catalog', 'information_schema')
          and (c.column_name like '%sealed%'
            or col_description(format('%I.%I', c.table_schema, c.table_name)::regclass, c.ordinal_position) like '%sealed%')";
    let rows = app.sql().await.query(sql, &[]).await.unwrap();
    let told: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, sealed_columns().into_iter().map(str::to_owned).collect());
}

/// Where something is sealed. A further place is added here with its column in `key_store/reseal.rs`; events of hooks wait
/// in jobs for some hours only.
#[test]
fn every_place_that_seals_is_known() {
    let mut found = BTreeMap::new();
    visit_sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    let known = [
        ("flow/custom_provider.rs", 1),
        ("flow/external/begin.rs", 1),
        ("flow/external/callback.rs", 1),
        ("flow/external/link.rs", 1),
        ("flow/factor.rs", 1),
        ("flow/proof.rs", 1),
        ("hook/job.rs", 1),
        ("key_store/refresh_key.rs", 1),
        ("key_store/root.rs", 1),
        ("key_store/vault.rs", 1),
        ("sealed.rs", 1),
        // a test
        ("settings/external.rs", 1),
    ];
    assert_eq!(found, known.into_iter().map(|(file, count)| (file.to_owned(), count)).collect());
}

fn visit_sources(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.ends_with("tests.rs") || path.ends_with("apple.rs");
        if path.is_dir() {
            visit_sources(&path, found);
        } else if !is_test {
            let text = std::fs::read_to_string(&path).unwrap();
            let count = text.matches("sealed::seal(").count()
                + text.matches("envelope.seal(").count()
                + text.matches("pair.seal(").count();
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if count > 0 {
                found.insert(name, count);
            }
        }
    }
}
