//! The server's own key: where it is, and when one may be made. Leaves what it opens to `key`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::Project;

use super::Store;
use crate::age::Identity;
use crate::error::StoreError;
use crate::settings::BackupSettings;

const NO_KEY: StoreError = StoreError::Internal("the crypto library made no key");
/// Name of the server's key below `.rowhouse`.
const SERVER_KEY: &str = "keys/backup.key";

impl Store {
    /// The store of the settings, opened with the server's key.
    ///
    /// # Errors
    /// If the key cannot be read or made, or was lost: a new one is made only for an empty store.
    pub async fn open(
        settings: &BackupSettings,
        project: &Project,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Result<Self, StoreError> {
        if find_server_key(settings, project)?.is_none() {
            let nobody = Identity::generate(&*rng).ok_or(NO_KEY)?;
            let store = Self::open_with(settings, project, nobody, Arc::clone(&clock), Arc::clone(&rng))?;
            store.require_unused(&project.private(SERVER_KEY)).await?;
        }
        let identity = ensure_server_key(settings, project, &rng)?;
        Self::open_with(settings, project, identity, clock, rng)
    }

    /// What another key has written would stay closed to a new one, and neither would open everything.
    async fn require_unused(&self, file: &Path) -> Result<(), StoreError> {
        let mut blobs = self.0.blobs.list("backups/").await?;
        blobs.extend(self.0.blobs.list("wal/").await?);
        match blobs.first() {
            None => Ok(()),
            Some(first) => Err(StoreError::Invalid(format!(
                "{} is missing, and the store {} has what another key has written (such as {}): bring the file back from a \
                 copy of the project, or give it as backup.server_key, which several hosts on one store share; with a new \
                 backup.store a new key is made",
                file.display(),
                self.place(),
                first.path
            ))),
        }
    }
}

/// The server's key: that of the settings, else the project's; `None` if it was never needed.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn find_server_key(settings: &BackupSettings, project: &Project) -> Result<Option<Identity>, StoreError> {
    if let Some(key) = &settings.server_key {
        let invalid = || StoreError::Invalid("backup.server_key is not a private key of age".to_owned());
        return Identity::parse(key.expose()).ok_or_else(invalid).map(Some);
    }
    let file = project.private(SERVER_KEY);
    match std::fs::read_to_string(&file) {
        Ok(text) => Identity::parse(&text).map(Some).ok_or_else(|| {
            StoreError::Invalid(format!(
                "{} is not a private key of age; restore it from a copy",
                file.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(&file, error)),
    }
}

/// The same, made when it is first needed.
///
/// # Errors
/// If the file cannot be read or written, or holds something else.
pub fn ensure_server_key(
    settings: &BackupSettings,
    project: &Project,
    rng: &SharedRng,
) -> Result<Identity, StoreError> {
    match find_server_key(settings, project)? {
        Some(key) => Ok(key),
        None => make_server_key(project, rng),
    }
}

/// Two processes that make it at once get the same: only one creates the file.
fn make_server_key(project: &Project, rng: &SharedRng) -> Result<Identity, StoreError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let file = project.private(SERVER_KEY);
    let failed = |error: std::io::Error| StoreError::io(&file, error);
    let refused = |error: rowhouse_module::CannotRun| StoreError::Invalid(error.to_string());
    project.ensure_private().map_err(refused)?;
    let folder = file.parent().unwrap_or(&file);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let key = Identity::generate(&**rng).ok_or(NO_KEY)?;
    let text = format!("# public key: {}\n{}\n", key.recipient(), key.expose().as_str());
    let aside = file.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut written =
        options.write(true).create(true).truncate(true).mode(0o600).open(&aside).map_err(failed)?;
    written.write_all(text.as_bytes()).and_then(|()| written.sync_all()).map_err(failed)?;
    let linked = std::fs::hard_link(&aside, &file);
    std::fs::remove_file(&aside).map_err(failed)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(&file).map_err(failed)?;
            Identity::parse(&text).ok_or(StoreError::Internal("another process has written no key"))
        }
        Err(error) => Err(failed(error)),
    }
}
