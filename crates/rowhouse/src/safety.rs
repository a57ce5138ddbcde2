//! What development makes comfortable, and what production refuses.

use rowhouse_db::{DataPlaneUrls, DbError};
use rowhouse_kernel::settings::{Environment, LogLevel, MailTransport, Settings, Source, Sources};
use rowhouse_kernel::{SERVICE_ROLE, Secret};
use tokio_postgres::Client;

use crate::outcome::CannotRun;

/// Shortest secret that production accepts, in characters.
const SHORTEST_SECRET: usize = 32;
/// Secrets that examples all over the web carry.
const WELL_KNOWN: &[&str] = &[
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-and-long-postgres-password",
    "changeme-changeme-changeme-changeme",
];

/// `up` in development: what nobody has set becomes comfortable.
pub(crate) fn apply_development_defaults(settings: &mut Settings, sources: &Sources) {
    if settings.project.environment != Environment::Development {
        return;
    }
    let is_default =
        |name: &str| sources.effective().iter().any(|e| e.name == name && e.source == Source::Default);
    if is_default("auth.mailer_autoconfirm") {
        settings.auth.mailer_autoconfirm = true;
    }
    if is_default("jobs.allow_private_urls") {
        settings.jobs.allow_private_urls = true;
    }
    for (name, rate) in [
        ("auth.signin_rate_per_5min", &mut settings.auth.signin_rate_per_5min),
        ("auth.token_rate_per_5min", &mut settings.auth.token_rate_per_5min),
    ] {
        if is_default(name) {
            *rate = 3_000;
        }
    }
}

/// `serve` is production unless somebody has said otherwise.
pub(crate) fn assume_production(settings: &mut Settings, sources: &Sources) {
    if sources.effective().iter().any(|e| e.name == "environment" && e.source == Source::Default) {
        settings.project.environment = Environment::Production;
    }
}

/// Everything unsafe about a production configuration, each named.
pub(crate) fn unsafe_settings(settings: &Settings) -> Vec<String> {
    if settings.project.environment != Environment::Production {
        return Vec::new();
    }
    let mut found = unsafe_secrets(settings);
    match settings.server.public_url.as_deref() {
        None => found.push("server.public_url: not set; tokens would carry a local issuer".to_owned()),
        Some(url) if !url.starts_with("https://") => {
            found.push(format!("server.public_url: {url} is not https"));
        }
        Some(_) => {}
    }
    if settings.auth.mailer_autoconfirm {
        found.push("auth.mailer_autoconfirm: addresses would be confirmed without a mail".to_owned());
    }
    if settings.mail.transport == MailTransport::Capture {
        found.push("mail.transport: capture would deliver no mail; name a relay".to_owned());
    }
    if settings.server.cors_credentials && settings.server.cors_origins.iter().any(|origin| origin == "*") {
        found.push(
            "server.cors_origins: * together with server.cors_credentials lets any site act as the user"
                .to_owned(),
        );
    }
    if matches!(settings.log.level, LogLevel::Debug | LogLevel::Trace) {
        found.push("log.level: debug logging may show personal data".to_owned());
    }
    found
}

fn unsafe_secrets(settings: &Settings) -> Vec<String> {
    let auth = &settings.auth;
    let secrets: [(&str, &Option<Secret>, bool); 6] = [
        ("auth.key_secret", &auth.key_secret, true),
        (
            "db.authenticator_password",
            &settings.db.authenticator_password,
            settings.db.authenticator_url.is_none(),
        ),
        (
            "db.authenticator_service_password",
            &settings.db.authenticator_service_password,
            settings.db.authenticator_service_url.is_none(),
        ),
        ("auth.jwt_secret", &auth.jwt_secret, false),
        ("server.metrics_token", &settings.server.metrics_token, false),
        ("mail.webhook_secret", &settings.mail.webhook_secret, settings.mail.webhook_url.is_some()),
    ];
    let passwords = [
        ("db.url", password_in(&settings.db.url)),
        ("db.authenticator_url", password_in(&settings.db.authenticator_url)),
        ("db.authenticator_service_url", password_in(&settings.db.authenticator_service_url)),
    ];
    let mut found = weak_signatures(settings);
    for (i, (name, secret, required)) in secrets.iter().enumerate() {
        let Some(secret) = secret else {
            if *required {
                found.push(format!("{name}: not set"));
            }
            continue;
        };
        if WELL_KNOWN.contains(&secret.expose()) {
            found.push(format!("{name}: a well-known default"));
        } else if secret.expose().chars().count() < SHORTEST_SECRET {
            found.push(format!("{name}: shorter than {SHORTEST_SECRET} characters"));
        }
        if let Some((url, _)) =
            passwords.iter().find(|(_, password)| password.as_deref() == Some(secret.expose()))
        {
            found.push(format!("{name}: the same secret as the password in {url}"));
        }
        let twin = secrets[..i].iter().find(|(_, other, _)| other.as_ref() == Some(secret));
        if let Some((other, ..)) = twin {
            found.push(format!("{name}: the same secret as {other}"));
        }
    }
    found
}

/// Handlers of jobs whose requests somebody could sign in our place.
fn weak_signatures(settings: &Settings) -> Vec<String> {
    let short = |secret: &Secret| secret.expose().chars().count() < SHORTEST_SECRET;
    let weak = settings.jobs.kinds.iter().filter(|(_, kind)| kind.secret.as_ref().is_some_and(short));
    weak.map(|(name, _)| format!("jobs.kinds.\"{name}\".secret: shorter than {SHORTEST_SECRET} characters"))
        .collect()
}

fn password_in(url: &Option<Secret>) -> Option<String> {
    let config = rowhouse_db::url::read(url.as_ref()?).ok()?;
    config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
}

/// Refuses data-plane logins that could look past row-level security: those that the URLs really name.
pub(crate) async fn require_powerless_logins(client: &Client, urls: &DataPlaneUrls) -> Result<(), CannotRun> {
    let mut found = Vec::new();
    for (url, may_become) in [(&urls.authenticator, ""), (&urls.service, SERVICE_ROLE)] {
        let login = rowhouse_db::url::login(url)?;
        let row = client
            .query_opt(include_str!("../sql/login_powers.sql"), &[&login, &may_become])
            .await
            .map_err(DbError::from)?;
        let powers = match row {
            Some(row) => row.get(0),
            None => vec!["does not exist".to_owned()],
        };
        found.extend(powers.iter().map(|power| {
            format!("database role {login} {power}; the data plane must have no rights of its own")
        }));
    }
    if found.is_empty() { Ok(()) } else { Err(CannotRun(found)) }
}

#[cfg(test)]
mod tests;
