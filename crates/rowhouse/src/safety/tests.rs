use std::collections::BTreeSet;

use rowhouse_auth::AuthSettings;
use rowhouse_db::DataPlaneUrls;
use rowhouse_jobs::JobsSettings;
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use rowhouse_testkit::TestDatabase;

use super::{assume_production, require_powerless_logins, unsafe_settings};

fn groups() -> Vec<GroupSpec> {
    crate::modules::modules().settings()
}

fn settings(toml: &str) -> Settings {
    Settings::load(&groups(), &mut Sources::new(toml, [])).unwrap()
}

const SAFE: &str = r#"
environment = "production"
[mail]
transport = "relay"
relay_host = "smtp.app.example"
from = "App <noreply@example.com>"
[server]
public_url = "https://app.example"
client_address_header = "none"
[auth]
key_secret = "k-0123456789012345678901234567890123"
[db]
authenticator_password = "a-0123456789012345678901234567890123"
authenticator_service_password = "s-0123456789012345678901234567890123"
"#;

#[test]
fn safe_production_configuration_is_accepted() {
    assert_eq!(unsafe_settings(&groups(), &settings(SAFE)), Vec::<String>::new());
}

/// Every key that some page says production refuses, in a configuration that it refuses for each of them.
const UNSAFE: &str = r#"
environment = "production"
[server]
public_url = "http://app.example"
cors_credentials = true
metrics_token = "short"
[auth]
mailer_autoconfirm = true
captcha_provider = "turnstile"
captcha_secret = "short"
jwt_secret = "super-secret-jwt-token-with-at-least-32-characters-long"
site_url = "http://app.example"
[auth_oauth]
enabled = true
authorization_path = "/consent"
[auth_sms]
enabled = true
autoconfirm = true
webhook_secret = "fewer-than-32-characters"
webhook_url = "http://sms.example"
test_otp = "491701234567=123456"
[auth_hooks]
custom_access_token = "http://hooks.example"
send_email = "http://hooks.example"
secret = "fewer-than-32-letters-here"
[backup]
store = "s3://backups"
access_key_id = "key"
secret_access_key = "secret"
[db]
authenticator_service_password = "short"
[log]
level = "debug"
[mail]
return_path = "bounces@shop.test"
webhook_url = "http://shop.example/mail"
relay_host = "smtp.shop.example"
relay_tls = "none"
[provisioning]
hook = "http://hooks.example"
hook_secret = "fewer-than-32-letters-here"
[redis]
url = "redis://cache.example:6379"
[jobs.kinds."a.b"]
url = "https://x"
secret = "fewer-than-32-bytes-here"
"#;

#[test]
fn every_unsafe_setting_is_named_and_documented() {
    let documented: BTreeSet<String> = groups()
        .iter()
        .flat_map(|group| group.refused.iter().map(|(key, _)| format!("{}.{key}", group.section)))
        .collect();
    let found = unsafe_settings(&groups(), &settings(UNSAFE));
    let page_of = |line: &String| {
        let key = line.split(": ").next().unwrap();
        let entry = |name: &&String| *key == ***name || key.starts_with(&format!("{name}."));
        documented.iter().find(entry).unwrap_or_else(|| panic!("no page says: {line}")).clone()
    };
    assert_eq!(found.iter().map(page_of).collect::<BTreeSet<_>>(), documented, "{found:#?}");
}

#[test]
fn short_signing_secret_of_a_job_handler_is_refused_in_production() {
    let kind = "[jobs.kinds.\"a.b\"]\nurl = \"https://x\"\nsecret = \"fewer-than-32-characters\"";
    let found = unsafe_settings(&groups(), &settings(&format!("{SAFE}\n{kind}")));
    assert_eq!(found, ["jobs.kinds.\"a.b\".secret: shorter than 32 characters"]);
}

#[test]
fn plain_text_to_other_machines_is_refused_in_production() {
    let lines = |host: &str| {
        let mail = "transport = \"relay\"\n".to_owned()
            + &format!("relay_tls = \"none\"\nwebhook_url = \"http://{host}/mail\"\n");
        let secret = "secret = \"a-secret-of-more-than-32-characters\"";
        let mail = mail + "webhook_secret = \"another-secret-of-more-than-32-characters\"";
        let toml = SAFE.replace("transport = \"relay\"", &mail).replace("smtp.app.example", host);
        format!("{toml}[jobs.kinds.\"a.b\"]\nurl = \"http://{host}/job\"\n{secret}")
    };
    assert_eq!(unsafe_settings(&groups(), &settings(&lines("127.0.0.1"))), Vec::<String>::new());
    let found = unsafe_settings(&groups(), &settings(&lines("app.example")));
    let mut keys: Vec<_> = found.iter().map(|reason| reason.split(": ").next().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["jobs.kinds.\"a.b\".url", "mail.relay_tls", "mail.webhook_url"]);
}

#[test]
fn development_defaults_apply_unless_set() {
    let mut sources = Sources::new("[auth]\ntoken_rate_per_5min = 7", []);
    let mut settings = Settings::load(&groups(), &mut sources).unwrap();
    settings.apply_development_defaults(&groups(), &sources);
    assert!(
        settings.get::<AuthSettings>().mailer_autoconfirm
            && settings.get::<JobsSettings>().allow_private_urls
    );
    assert_eq!(
        (
            settings.get::<AuthSettings>().token_rate_per_5min,
            settings.get::<AuthSettings>().signin_rate_per_5min
        ),
        (7, 3_000)
    );
}

#[test]
fn serve_is_production_unless_set_otherwise() {
    for (toml, refused) in [("", true), ("environment = \"development\"", false)] {
        let mut sources = Sources::new(toml, []);
        let mut settings = Settings::load(&groups(), &mut sources).unwrap();
        assume_production(&mut settings, &sources);
        assert_eq!(!unsafe_settings(&groups(), &settings).is_empty(), refused, "{toml}");
    }
}

#[test]
fn secret_that_is_also_a_password_in_a_url_is_named() {
    let toml = format!("{SAFE}url = \"postgres://rowhouse:k-0123456789012345678901234567890123@db/app\"");
    let found = unsafe_settings(&groups(), &settings(&toml));
    assert_eq!(found, ["auth.key_secret: the same secret as the password in db.url"]);
}

async fn powers(urls: &DataPlaneUrls, db: &TestDatabase) -> String {
    match require_powerless_logins(&db.superuser().await, urls).await {
        Ok(()) => String::new(),
        Err(found) => found.to_string(),
    }
}

#[tokio::test]
async fn data_plane_login_with_rights_is_refused_whatever_its_name() {
    let db = TestDatabase::create().await;
    let good = db.urls.data.clone();
    assert_eq!(powers(&good, &db).await, "");
    for (login, why) in [
        ("postgres", "is a superuser"),
        ("rowhouse", "may become rowhouse_owner"),
        ("authenticator_service", "may become service_role"),
        ("nobody_of_that_name", "does not exist"),
    ] {
        let url = Secret::new(format!("postgres://{login}:x@localhost/postgres"));
        let found = powers(&DataPlaneUrls { authenticator: url, ..good.clone() }, &db).await;
        assert!(found.contains(why), "{login}: {found}");
    }
    let swapped = DataPlaneUrls { service: Secret::new("postgres://rowhouse:x@localhost/postgres"), ..good };
    assert!(powers(&swapped, &db).await.contains("may become rowhouse_project"));
}
