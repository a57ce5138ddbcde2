//! What development makes comfortable, and what production refuses.

use rowhouse_db::DbError;
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{Environment, LogLevel, Settings, Source, Sources};
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
    for (name, rate) in [
        ("auth.signin_rate_per_5min", &mut settings.auth.signin_rate_per_5min),
        ("auth.token_rate_per_5min", &mut settings.auth.token_rate_per_5min),
    ] {
        if is_default(name) {
            *rate = 3_000;
        }
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
    let secrets: [(&str, &Option<Secret>, bool); 5] = [
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
    ];
    let mut found = Vec::new();
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
        let twin = secrets[..i].iter().find(|(_, other, _)| other.as_ref() == Some(secret));
        if let Some((other, ..)) = twin {
            found.push(format!("{name}: the same secret as {other}"));
        }
    }
    found
}

/// Refuses data-plane logins that could look past row-level security.
pub(crate) async fn require_powerless_logins(client: &Client) -> Result<(), CannotRun> {
    let sql = "select r.rolname, r.rolsuper, r.rolbypassrls, exists (select from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p', 'v', 'm'))
        from pg_roles r where r.rolname in ('authenticator', 'authenticator_service')";
    let mut found = Vec::new();
    for row in client.query(sql, &[]).await.map_err(DbError::from)? {
        let name: String = row.get(0);
        for (column, what) in [(1, "is a superuser"), (2, "has BYPASSRLS"), (3, "owns tables")] {
            if row.get(column) {
                found.push(format!(
                    "database role {name} {what}; the data plane must have no rights of its own"
                ));
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(CannotRun(found)) }
}

#[cfg(test)]
mod tests;
