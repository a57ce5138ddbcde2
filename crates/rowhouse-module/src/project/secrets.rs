//! The project's own secrets under `up`: generated once, kept in `.rowhouse/keys/secrets.toml` with mode 600.

use std::os::unix::fs::DirBuilderExt;

use rowhouse_kernel::{Rng, Secret};

use crate::{CannotRun, Project};

/// The secrets of a development project.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Of the superuser `postgres`.
    pub postgres: Secret,
    /// Of the login `rowhouse`.
    pub rowhouse: Secret,
    /// Of the login `authenticator`.
    pub authenticator: Secret,
    /// Of the login `authenticator_service`.
    pub authenticator_service: Secret,
    /// Stands in for `[auth] key_secret`.
    pub key_secret: Secret,
}

const NAME: &str = "keys/secrets.toml";
const NAMES: [&str; 5] = [
    "postgres_password",
    "rowhouse_password",
    "authenticator_password",
    "authenticator_service_password",
    "key_secret",
];

impl Secrets {
    /// Reads the file, or writes a new one.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read or written.
    pub fn ensure(project: &Project, rng: &dyn Rng) -> Result<Self, CannotRun> {
        let path = project.private(NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| {
                CannotRun::because(format!(
                    "{} is damaged; restore it from a copy: the database's passwords stand in it",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(project, rng),
            Err(error) => Err(CannotRun::because(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// A secret in a file of its own below `.rowhouse/keys`: reads it, or writes what `make` gives the first time.
    ///
    /// # Errors
    /// If it is empty, or cannot be read or written.
    pub fn ensure_file(
        project: &Project,
        name: &str,
        make: impl FnOnce() -> String,
    ) -> Result<Secret, CannotRun> {
        let name = format!("keys/{name}");
        let path = project.private(&name);
        let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", path.display()));
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                Err(CannotRun::because(format!("{} is empty; remove it for a new one", path.display())))
            }
            Ok(text) => Ok(Secret::new(text.trim())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = make();
                project.write_private(&name, format!("{text}\n").as_bytes()).map_err(failed)?;
                Ok(Secret::new(text))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let table: toml::Table = text.parse().ok()?;
        let secret = |name: &str| table.get(name)?.as_str().map(Secret::new);
        let [postgres, rowhouse, authenticator, authenticator_service, key_secret] = NAMES.map(secret);
        Some(Self {
            postgres: postgres?,
            rowhouse: rowhouse?,
            authenticator: authenticator?,
            authenticator_service: authenticator_service?,
            key_secret: key_secret?,
        })
    }

    /// Written to a temporary file and renamed, so that a kill leaves no partial file.
    fn create(project: &Project, rng: &dyn Rng) -> Result<Self, CannotRun> {
        let folder = project.private("keys");
        let fail =
            |error: std::io::Error| CannotRun::because(format!("cannot write {}: {error}", folder.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(fail)?;
        let text: String = NAMES.iter().map(|name| format!("{name} = \"{}\"\n", random_text(rng))).collect();
        project.write_private(NAME, text.as_bytes()).map_err(fail)?;
        Self::parse(&text).ok_or_else(|| CannotRun::because("generated secrets cannot be read back"))
    }
}

/// 192 random bits as hex, which need no escaping in URLs and SQL.
fn random_text(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; 24];
    rng.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
