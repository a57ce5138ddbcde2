use rowhouse_kernel::settings::{Settings, Sources};

use super::{apply_development_defaults, unsafe_settings};

fn settings(toml: &str) -> Settings {
    Settings::load(&mut Sources::new(toml, [])).unwrap()
}

const SAFE: &str = r#"
environment = "production"
[server]
public_url = "https://app.example"
[auth]
key_secret = "k-0123456789012345678901234567890123"
[db]
authenticator_password = "a-0123456789012345678901234567890123"
authenticator_service_password = "s-0123456789012345678901234567890123"
"#;

#[test]
fn safe_production_configuration_is_accepted() {
    assert_eq!(unsafe_settings(&settings(SAFE)), Vec::<String>::new());
}

#[test]
fn every_unsafe_setting_is_named() {
    let toml = r#"
environment = "production"
[server]
public_url = "http://app.example"
cors_credentials = true
metrics_token = "short"
[auth]
mailer_autoconfirm = true
jwt_secret = "super-secret-jwt-token-with-at-least-32-characters-long"
[db]
authenticator_password = "a-0123456789012345678901234567890123"
authenticator_service_password = "a-0123456789012345678901234567890123"
[log]
level = "debug"
"#;
    let found = unsafe_settings(&settings(toml));
    for name in [
        "server.public_url",
        "server.cors_origins",
        "server.metrics_token",
        "auth.key_secret",
        "auth.jwt_secret",
        "auth.mailer_autoconfirm",
        "db.authenticator_service_password",
        "log.level",
    ] {
        assert!(found.iter().any(|line| line.starts_with(&format!("{name}:"))), "{name} in {found:#?}");
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn development_is_comfortable_unless_told_otherwise() {
    let mut sources = Sources::new("[auth]\ntoken_rate_per_5min = 7", []);
    let mut settings = Settings::load(&mut sources).unwrap();
    apply_development_defaults(&mut settings, &sources);
    assert!(settings.auth.mailer_autoconfirm);
    assert_eq!((settings.auth.token_rate_per_5min, settings.auth.signin_rate_per_5min), (7, 3_000));
}
