//! A project on disk and its settings.

mod instance;
mod lock;
mod secrets;
mod state;

use std::io::Write;
use std::path::{Path, PathBuf};

use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};

use crate::{CannotRun, shell_word};

pub use instance::{Instance, InstanceRecord};
pub use lock::ProjectLock;
pub use secrets::Secrets;
pub use state::State;

/// A project's folder.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Takes a folder that exists.
    ///
    /// # Errors
    /// If it does not.
    pub fn open(dir: &Path) -> Result<Self, CannotRun> {
        let root = dir.canonicalize().map_err(|error| {
            CannotRun::because(format!(
                "{}: {error}; create a project with: rowhouse init {}",
                dir.display(),
                shell_word(dir)
            ))
        })?;
        if root.is_dir() {
            Ok(Self { root })
        } else {
            Err(CannotRun::because(format!("{} is not a folder", dir.display())))
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// ` --dir FOLDER` for commands in hints; nothing if the project is the current folder.
    #[must_use]
    pub fn dir_option(&self) -> String {
        let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
        let folder = self.root.strip_prefix(here).unwrap_or(&self.root);
        match folder.as_os_str().is_empty() {
            true => String::new(),
            false => format!(" --dir {}", shell_word(folder)),
        }
    }

    /// The project's migrations.
    #[must_use]
    pub fn migrations(&self) -> PathBuf {
        self.root.join("migrations")
    }

    /// A file under `.rowhouse`.
    #[must_use]
    pub fn private(&self, name: &str) -> PathBuf {
        self.root.join(".rowhouse").join(name)
    }

    /// Creates `.rowhouse` with mode 711: other accounts may pass through it but not list it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ensure_private(&self) -> Result<(), CannotRun> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
        let folder = self.root.join(".rowhouse");
        let fail =
            |error: std::io::Error| CannotRun::because(format!("cannot use {}: {error}", folder.display()));
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(fail(error)),
            _ => {}
        }
        // The program may run as root in another account's folder, whose owner could place symbolic links here.
        let entry = folder.symlink_metadata().map_err(fail)?;
        if entry.uid() != nix::unistd::Uid::effective().as_raw() {
            return Err(CannotRun::because(format!(
                "{} belongs to another account (uid {}); run rowhouse under that account, or move the folder away",
                folder.display(),
                entry.uid()
            )));
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711)).map_err(fail)?;
        // Also for a folder whose own .gitignore does not name it.
        let mut options = std::fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o644).open(folder.join(".gitignore")) {
            Ok(mut file) => file.write_all(b"*\n").map_err(fail),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(fail(error)),
        }
    }

    /// Replaces a file under `.rowhouse` in one step; mode 600. After a kill or with a full disk the old content is intact.
    ///
    /// # Errors
    /// The file system's.
    pub fn write_private(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let aside = self.private(&format!("{name}.new"));
        let _left_by_a_kill = std::fs::remove_file(&aside);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&aside)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| std::fs::rename(&aside, self.private(name))) {
            let _nothing_left_to_do = std::fs::remove_file(&aside);
            return Err(error);
        }
        Ok(())
    }

    /// Reads `rowhouse.toml` and the environment; values are not validated yet.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn sources(&self) -> Result<Sources, CannotRun> {
        let path = self.root.join("rowhouse.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(CannotRun::because(format!("cannot read {}: {error}", path.display()))),
        };
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Sources::new(&text, variables))
    }

    /// The settings with where each came from.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn settings(&self, groups: &[GroupSpec]) -> Result<(Settings, Sources), CannotRun> {
        let mut sources = self.sources()?;
        let settings = Settings::load(groups, &mut sources).map_err(CannotRun)?;
        Ok((settings, sources))
    }
}

#[cfg(test)]
mod tests;
