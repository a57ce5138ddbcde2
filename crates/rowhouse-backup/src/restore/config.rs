//! The configuration of a restored cluster: what is among its files, else as much as it needs to start.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rowhouse_db::embedded::Account;
use rowhouse_module::CannotRun;

use crate::base::Details;

const ACCESS: &str = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n";

/// Adds the files that a cluster of a distribution keeps elsewhere (Debian: /etc/postgresql), and asks for recovery.
pub(super) fn write(data: &Path, details: &Details, account: &Account) -> Result<(), CannotRun> {
    let settings = details.settings.iter().filter(|(_, value)| !value.is_empty());
    let settings: String =
        settings.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
    add(data, "postgresql.conf", &settings, account)?;
    add(data, "pg_hba.conf", ACCESS, account)?;
    add(data, "pg_ident.conf", "", account)?;
    add(data, "recovery.signal", "", account)?;
    let _usually_absent = std::fs::remove_file(data.join("standby.signal"));
    Ok(())
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
