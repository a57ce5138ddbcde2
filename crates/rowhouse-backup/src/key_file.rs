//! Files with a private key of age, as `age-keygen` writes them. Leaves what the key opens to its callers.

use std::path::{Path, PathBuf};

use rowhouse_kernel::settings::Settings;
use rowhouse_module::CannotRun;

use crate::age::Identity;
use crate::settings::{Adapter, BackupSettings};

/// The key in it.
pub(crate) fn read_key(file: &Path) -> Result<Identity, CannotRun> {
    let refused = |why: String| CannotRun::because(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let why = "no private key of age (AGE-SECRET-KEY-1…) in it".to_owned();
    Identity::parse(&text).ok_or_else(|| refused(why))
}

/// The file whose key scheduled drills use; none if they use the server's, or there are none.
pub(crate) fn of_drills(settings: &BackupSettings, project: &Path) -> Option<PathBuf> {
    let has_drills =
        settings.adapter == Adapter::None && settings.drill_cron().is_ok_and(|cron| cron.is_some());
    settings.drill_key_file.as_ref().filter(|_| has_drills).map(|file| project.join(file))
}

/// What `doctor` says of the key file of scheduled drills: nothing without one, else whether there is a key in it.
#[must_use]
pub fn drill_key(settings: &Settings, project: &Path) -> Option<Result<String, String>> {
    let file = of_drills(&settings.get::<BackupSettings>(), project)?;
    Some(match read_key(&file) {
        Ok(_) => Ok(format!("{} has a private key", file.display())),
        Err(error) => Err(mistake(&error)),
    })
}

/// With the remedy.
pub(crate) fn mistake(error: &CannotRun) -> String {
    format!(
        "backup.drill_key_file: {error}; scheduled drills fail until it can be read: mount its medium, correct the path, or unset it"
    )
}

#[cfg(test)]
mod tests {
    use super::{of_drills, read_key};
    use crate::age::Identity;
    use crate::settings::{Adapter, BackupSettings};

    #[test]
    fn key_file_counts_while_drills_are_scheduled_here() {
        let set =
            BackupSettings { drill_key_file: Some("escrow.key".to_owned()), ..BackupSettings::default() };
        let project = std::path::Path::new("/project");
        assert_eq!(of_drills(&set, project), Some("/project/escrow.key".into()));
        assert_eq!(of_drills(&BackupSettings::default(), project), None);
        assert_eq!(
            of_drills(&BackupSettings { drill_schedule: String::new(), ..set.clone() }, project),
            None
        );
        assert_eq!(of_drills(&BackupSettings { adapter: Adapter::PgBackRest, ..set }, project), None);
    }

    #[test]
    fn file_without_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("escrow.key");
        let why = |why: &str| {
            let error = read_key(&file).unwrap_err().to_string();
            assert!(error.contains("escrow.key") && error.contains(why), "{error}");
        };
        why("No such file");
        std::fs::write(&file, "age1…").unwrap();
        why("no private key of age");
        let identity = Identity::generate(&rowhouse_kernel::SystemRng).unwrap();
        std::fs::write(&file, identity.expose().as_bytes()).unwrap();
        assert!(read_key(&file).is_ok());
    }
}
