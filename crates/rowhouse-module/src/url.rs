//! Where the database is for a process's three logins. Where the control plane's own URL comes from is left to settings and
//! to [`crate::CommandContext`].

use rowhouse_db::{DataPlaneUrls, DatabaseUrls, DbSettings};
use rowhouse_kernel::Secret;

use crate::{CannotRun, Secrets};

/// The URLs: given, or derived from `DATABASE_URL` with the data plane's logins and passwords.
///
/// # Errors
/// Everything that is missing; URLs that cannot be used, by their settings.
pub fn database_urls(settings: &DbSettings, generated: Option<&Secrets>) -> Result<DatabaseUrls, CannotRun> {
    settings.check_urls().map_err(CannotRun)?;
    let password = |given: &Option<Secret>, generated: Option<&Secret>| given.as_ref().or(generated).cloned();
    let authenticator = password(&settings.authenticator_password, generated.map(|s| &s.authenticator));
    let service =
        password(&settings.authenticator_service_password, generated.map(|s| &s.authenticator_service));
    let logins = [
        ("authenticator", &settings.authenticator_url, authenticator),
        ("authenticator_service", &settings.authenticator_service_url, service),
    ];
    let unknown = |(name, given, password): &(&str, &Option<Secret>, Option<Secret>)| {
        (given.is_none() && password.is_none()).then(|| format!("db.{name}_password: not set"))
    };
    let mut missing: Vec<String> = logins.iter().filter_map(unknown).collect();
    let through_pooler = settings.url.as_ref().or(settings.direct_url.as_ref());
    let (Some(control), Some(direct)) = (through_pooler.cloned(), settings.server_url().cloned()) else {
        missing.push("db.url: not set; give DATABASE_URL, or use `rowhouse up` for development".to_owned());
        return Err(CannotRun(missing));
    };
    let derive = |(name, given, password): (&str, &Option<Secret>, Option<Secret>)| match (given, password) {
        (Some(given), _) => Ok(given.clone()),
        (None, Some(password)) => {
            rowhouse_db::url::with_login(&control, name, &password).map_err(CannotRun::from)
        }
        (None, None) => Err(CannotRun(missing.clone())),
    };
    let [authenticator, service] = logins.map(derive);
    let data = DataPlaneUrls { authenticator: authenticator?, service: service? };
    Ok(DatabaseUrls { control, direct, data })
}
