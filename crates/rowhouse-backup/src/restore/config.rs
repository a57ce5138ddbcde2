//! The configuration of a restored cluster: what is among its files, else as much as it needs to start. One that `up` did not
//! create gets what `up` needs of it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use rowhouse_db::embedded::Account;
use rowhouse_module::CannotRun;

use crate::base::Details;

const ACCESS: &str = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n";

/// At the end of the file that PostgreSQL reads last. Where the server's files are, its command line says (`rowhouse_db::embedded`).
const COPY: &str = "
# written by the restore: a copy writes into no archive, log or other file of the original, waits for no standby of it, reads no
# certificate of it, and loads no library that might act beside it; remove what it needs when it takes the original's place
archive_mode = 'off'
synchronous_standby_names = ''
shared_preload_libraries = ''
session_preload_libraries = ''
local_preload_libraries = ''
jit_provider = 'llvmjit'
external_pid_file = ''
logging_collector = 'off'
log_destination = 'stderr'
ssl = 'off'
";

/// Of several entries of a name only the last is looked at, so a locale that this machine lacks does not keep the server from starting.
const OUTSIDE: &str = "
# written by the restore: these locales are everywhere
lc_messages = 'C'
lc_monetary = 'C'
lc_numeric = 'C'
lc_time = 'C'
";

/// Adds the files that a cluster of a distribution keeps elsewhere (Debian: /etc/postgresql), and asks for recovery. What replaces the
/// original is configured as it was.
pub(super) fn write(
    data: &Path,
    details: &Details,
    is_copy: bool,
    account: &Account,
) -> Result<(), CannotRun> {
    let settings = details.settings.iter().filter(|(_, value)| !value.is_empty());
    let settings: String =
        settings.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
    add(data, "postgresql.conf", &settings, account)?;
    if is_copy {
        append(data, "postgresql.auto.conf", COPY, account)?;
    }
    if !details.is_embedded {
        append(data, "postgresql.auto.conf", OUTSIDE, account)?;
        set_aside(data, "pg_hba.conf")?;
    }
    add(data, "pg_hba.conf", ACCESS, account)?;
    add(data, "pg_ident.conf", "", account)?;
    add(data, "recovery.signal", "", account)?;
    let _usually_absent = std::fs::remove_file(data.join("standby.signal"));
    Ok(())
}

fn append(data: &Path, name: &str, content: &str, account: &Account) -> Result<(), CannotRun> {
    let path = data.join(name);
    let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    Ok(account.own(&file, &path)?)
}

/// The original's own stays beside the one that is written.
fn set_aside(data: &Path, name: &str) -> Result<(), CannotRun> {
    let path = data.join(name);
    match std::fs::rename(&path, data.join(format!("{name}.before"))) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CannotRun::because(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn add(data: &Path, name: &str, content: &str, account: &Account) -> Result<(), CannotRun> {
    let path = data.join(name);
    let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", path.display()));
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).map_err(failed)?;
            Ok(account.own(&file, &path)?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
