//! Location and creation of a project's cluster.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use nix::fcntl::OFlag;
use nix::unistd::Uid;
use rowhouse_kernel::Secret;

use super::account::Account;
use super::binaries::{Binaries, find_binaries};
use super::{ClusterPaths, EmbeddedError, io, postmaster};

/// Name of a data directory that is being restored, and not whole yet.
pub const RESTORING: &str = "data.restoring";
/// How the name begins of what is exchanged with `data` at the end of a restore in place.
pub const EXCHANGED: &str = "data.restored-";
/// For projects in folders that the server's account cannot enter.
const ELSEWHERE: &str = "/var/lib/rowhouse";
/// Unix socket paths end at 107 bytes; the socket's name takes some twenty.
const LONGEST_SOCKET_FOLDER: usize = 85;

/// Settings written once into a new cluster's `postgresql.conf`; the user may change them there.
const SETTINGS: &str = "
# written when the cluster was created; yours to change
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u '
password_encryption = 'scram-sha-256'
max_connections = 100
# a backup that does not come to its WAL must not fill the disk
max_slot_wal_keep_size = '4GB'
";

impl ClusterPaths {
    /// Decides where `project`'s cluster lies: `.rowhouse/pg`, or `/var/lib/rowhouse/<id>` with a link to it
    /// when the server's account cannot enter the project.
    pub(super) fn prepare(project: &Path, account: &Account) -> Result<Self, EmbeddedError> {
        let link = project.join(".rowhouse/pg");
        if !account.can_enter(&project.join(".rowhouse")) && !link.is_symlink() && !link.exists() {
            let elsewhere = elsewhere(project);
            std::fs::create_dir_all(ELSEWHERE).map_err(io(format!("cannot create {ELSEWHERE}")))?;
            account.own_folder(&elsewhere)?;
            symlink(&elsewhere, &link).map_err(io(format!("cannot link {}", link.display())))?;
        }
        let home = match link.is_symlink() {
            true => followed(&link)?,
            false => link,
        };
        account.own_folder(&home)?;
        let home = home.canonicalize().map_err(io(format!("cannot open {}", home.display())))?;
        let mut run = home.join("run");
        if run.as_os_str().len() > LONGEST_SOCKET_FOLDER {
            run = PathBuf::from("/tmp").join(format!("rowhouse-{}", id_of(project)));
        }
        Ok(Self { data: home.join("data"), log: home.join("server.log"), run, home })
    }
}

/// Moves data aside if the project's `.rowhouse` was removed: the project starts from scratch. Only the newest of
/// such copies is kept.
pub(super) async fn set_aside_removed(project: &Path) -> Result<(), EmbeddedError> {
    let link = project.join(".rowhouse/pg");
    let removed = elsewhere(project);
    if link.is_symlink() || link.exists() || !removed.join("data").is_dir() {
        return Ok(());
    }
    let paths = ClusterPaths {
        data: removed.join("data"),
        log: removed.join("server.log"),
        run: removed.join("run"),
        home: removed.clone(),
    };
    postmaster::clear_leftovers(&paths).await?;
    let aside = removed.with_extension("removed");
    if aside.is_dir() {
        std::fs::remove_dir_all(&aside).map_err(io(format!("cannot remove {}", aside.display())))?;
    }
    std::fs::rename(&removed, &aside).map_err(io(format!("cannot rename {}", removed.display())))?;
    tracing::warn!(
        data = %aside.display(),
        "this project's .rowhouse was removed, so its database begins anew; the former data was put aside"
    );
    Ok(())
}

/// Stops the server of a restore that was killed; its caller holds the project's lock, so no restore is at work. Without other
/// data the project must not begin anew, as if that were what was restored.
pub(super) async fn end_restore(paths: &ClusterPaths) -> Result<(), EmbeddedError> {
    let restoring = paths.home.join(RESTORING);
    postmaster::stop_orphan(&restoring).await?;
    warn_of_exchanged(&paths.home);
    match restoring.is_dir() && !paths.data.is_dir() {
        false => Ok(()),
        true => Err(EmbeddedError::Failed {
            what: "the restore into this project",
            log: format!(
                "it was interrupted, and {} is not whole; restore into a new folder, or remove that one to begin without data",
                restoring.display()
            ),
        }),
    }
}

/// A restore in place that was killed at its end leaves one of the two data directories under a name that says neither.
pub fn warn_of_exchanged(home: &Path) {
    let entries = std::fs::read_dir(home).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(EXCHANGED)) {
        tracing::warn!(
            "a restore in place was interrupted at its end: {} is the former data or what was restored, and data is the \
             other; look into the database before you remove either",
            entry.path().display()
        );
    }
}

/// Location of data if the server's account cannot enter the project's folder.
fn elsewhere(project: &Path) -> PathBuf {
    Path::new(ELSEWHERE).join(id_of(project))
}

/// Resolves a symbolic link that the current account has created. Another account's could point anywhere, and its
/// target is handed to the server's account.
fn followed(link: &Path) -> Result<PathBuf, EmbeddedError> {
    let open = || io(format!("cannot open {}", link.display()));
    if link.symlink_metadata().map_err(open())?.uid() != Uid::effective().as_raw() {
        return Err(EmbeddedError::Account(format!(
            "{} is a link that another account made; remove it",
            link.display()
        )));
    }
    link.canonicalize().map_err(open())
}

/// Where a project's cluster belongs, with the account that owns it: made ready for a data directory that comes from a
/// backup.
///
/// # Errors
/// If there is no account for it, or a folder cannot be made.
pub fn prepare_folder(project: &Path) -> Result<(ClusterPaths, Account), EmbeddedError> {
    let account = Account::choose()?;
    let paths = ClusterPaths::prepare(project, &account)?;
    Ok((paths, account))
}

/// Creates a project's cluster, as `up` does it, without starting its server: under the name of one that is being restored, which
/// `up` refuses.
///
/// # Errors
/// If PostgreSQL's programs or an account for them are missing, or a folder cannot be made.
pub fn create_restoring(project: &Path, password: &Secret) -> Result<(ClusterPaths, Account), EmbeddedError> {
    let (paths, account) = prepare_folder(project)?;
    let paths = ClusterPaths { data: paths.home.join(RESTORING), ..paths };
    ensure(&paths, &find_binaries()?, &account, password)?;
    Ok((paths, account))
}

/// The data directory of a project, whether or not its server runs; `None` if none was created.
#[must_use]
pub fn data_folder(project: &Path) -> Option<PathBuf> {
    let data = project.join(".rowhouse/pg/data");
    data.is_dir().then_some(data)
}

/// A short stable name for a project, from its path.
fn id_of(project: &Path) -> String {
    let path = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    let hash = digest::digest(&digest::SHA256, path.as_os_str().as_encoded_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Creates the cluster unless it is there; true if it was created. Created under a temporary name, so that a kill
/// leaves nothing that looks complete.
pub(super) fn ensure(
    paths: &ClusterPaths,
    binaries: &Binaries,
    account: &Account,
    password: &Secret,
) -> Result<bool, EmbeddedError> {
    if paths.data.join("PG_VERSION").exists() {
        return Ok(false);
    }
    let unfinished = paths.home.join("data.new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(io("cannot remove an unfinished cluster"))?;
    }
    let password_file = write_password(paths, account, password)?;
    let created = run_initdb(&unfinished, &password_file, binaries, account);
    std::fs::remove_file(&password_file).map_err(io("cannot remove the password file"))?;
    created?;
    let settings = unfinished.join("postgresql.conf");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&settings)
        .map_err(io("cannot open postgresql.conf"))?;
    file.write_all(SETTINGS.as_bytes()).map_err(io("cannot write postgresql.conf"))?;
    std::fs::rename(&unfinished, &paths.data).map_err(io("cannot put the cluster in place"))?;
    Ok(true)
}

fn run_initdb(
    data: &Path,
    password_file: &Path,
    binaries: &Binaries,
    account: &Account,
) -> Result<(), EmbeddedError> {
    let mut command = account.command(&binaries.program("initdb"));
    command.args([
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth=scram-sha-256",
        "--no-instructions",
    ]);
    command.arg("--pgdata").arg(data).arg("--pwfile").arg(password_file);
    let output = command.output().map_err(io("cannot run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Failed { what: "initdb", log: String::from_utf8_lossy(&output.stderr).into_owned() })
}

/// initdb reads the password from a file, which is readable by the account only and removed at once.
fn write_password(
    paths: &ClusterPaths,
    account: &Account,
    password: &Secret,
) -> Result<PathBuf, EmbeddedError> {
    let path = paths.home.join("initdb.password");
    let _left_by_a_kill = std::fs::remove_file(&path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(io("cannot write the password file"))?;
    file.write_all(password.expose().as_bytes()).map_err(io("cannot write the password file"))?;
    account.own(&file, &path)?;
    Ok(path)
}
