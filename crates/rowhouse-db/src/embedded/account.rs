//! The operating-system account of the server: PostgreSQL refuses root.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};

use super::{EmbeddedError, io};

/// An account to run programs as; without ids it is the current one.
#[derive(Debug, Clone)]
pub struct Account {
    name: String,
    ids: Option<(u32, u32)>,
}

impl Account {
    /// The current account, unless it is root: then `postgres`, else `rowhouse`, which is created.
    ///
    /// # Errors
    /// If running as root and neither account exists or can be created.
    pub fn choose() -> Result<Self, EmbeddedError> {
        if !Uid::effective().is_root() {
            let name = User::from_uid(Uid::effective())
                .ok()
                .flatten()
                .map_or_else(|| "you".to_owned(), |user| user.name);
            return Ok(Self { name, ids: None });
        }
        for name in ["postgres", "rowhouse"] {
            if let Some(account) = Self::named(name) {
                return Ok(account);
            }
        }
        let created = Command::new("useradd")
            .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "rowhouse"])
            .status();
        Self::named("rowhouse").ok_or_else(|| {
            EmbeddedError::Account(format!("PostgreSQL does not run as root, and no account for it could be created ({created:?}); create one with: useradd --system rowhouse"))
        })
    }

    fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok().flatten()?;
        Some(Self { name: user.name, ids: Some((user.uid.as_raw(), user.gid.as_raw())) })
    }

    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run under this account, in `/`, with a clean environment.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir("/");
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Whether the account can enter a folder. Found out by trying, since modes, ACLs and mounts all matter.
    pub(super) fn can_enter(&self, folder: &Path) -> bool {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", "cd \"$1\"", "sh"]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Creates a folder that only the account can enter. As root, never through a symbolic link, and never one that
    /// another account has created, which could contain anything.
    ///
    /// # Errors
    /// If it cannot be made, or belongs to somebody else.
    pub fn own_folder(&self, folder: &Path) -> Result<(), EmbeddedError> {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io(format!("cannot create {}", folder.display()))(error));
            }
            _ => {}
        }
        let protect = || format!("cannot protect {}", folder.display());
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let opened =
            OpenOptions::new().read(true).custom_flags(flags.bits()).open(folder).map_err(io(protect()))?;
        self.require_ours(&opened, folder)?;
        opened.set_permissions(Permissions::from_mode(0o700)).map_err(io(protect()))?;
        self.own(&opened, folder)
    }

    fn require_ours(&self, opened: &File, folder: &Path) -> Result<(), EmbeddedError> {
        let owner = opened.metadata().map_err(io(format!("cannot read {}", folder.display())))?.uid();
        if owner == Uid::effective().as_raw() || self.ids.is_some_and(|(uid, _)| uid == owner) {
            return Ok(());
        }
        let owner =
            User::from_uid(Uid::from_raw(owner)).ok().flatten().map_or(owner.to_string(), |user| user.name);
        Err(EmbeddedError::Account(format!(
            "{} belongs to {owner}; run rowhouse as {owner}, or move the folder away",
            folder.display()
        )))
    }

    /// Hands an open file or folder to the account; `shown` is its name for messages.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn own(&self, opened: &File, shown: &Path) -> Result<(), EmbeddedError> {
        let Some((uid, gid)) = self.ids else { return Ok(()) };
        std::os::unix::fs::fchown(opened, Some(uid), Some(gid)).map_err(io(format!(
            "cannot hand {} to {}",
            shown.display(),
            self.name
        )))
    }
}

#[cfg(test)]
mod tests;
