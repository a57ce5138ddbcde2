//! Checks of the machine and the project's folder.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rowhouse_db::DbSettings;
use rowhouse_db::embedded::{data_folder, find_binaries, find_binaries_for, is_replaced, port_owner};
use rowhouse_db::migrate::Migration;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Mode, Project, State, shell_word};

/// The server that the project's data needs; without data, the newest.
pub(super) fn postgresql(project: Option<&Project>) -> Result<String, String> {
    let data = project.and_then(|project| data_folder(project.root()));
    let binaries = match &data {
        Some(data) => find_binaries_for(data),
        None => find_binaries(),
    };
    let binaries = binaries.map_err(|error| error.to_string())?;
    let of = if data.is_some() { ", the version of the project's data" } else { "" };
    Ok(format!("version {}{of}, in {}", binaries.version, binaries.folder.display()))
}

/// `up` keeps data and keys in the folder.
pub(super) fn writable(project: &Project) -> Result<String, String> {
    let private = project.private("");
    let folder = if private.is_dir() { private.as_path() } else { project.root() };
    match nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => Ok(project.root().display().to_string()),
        Err(error) => Err(format!("{} cannot be written: {error}", folder.display())),
    }
}

/// Keys must be readable by their owner alone.
pub(super) fn secrets_mode(project: &Project) -> Result<String, String> {
    let path = project.private("keys/secrets.toml");
    match path.metadata().map(|file| file.permissions().mode() & 0o777) {
        Ok(0o600) => Ok("secrets are mode 600".to_owned()),
        Ok(mode) => Err(format!("{} is mode {mode:o}; run: chmod 600 {}", path.display(), shell_word(&path))),
        Err(_) => Ok("no secrets yet".to_owned()),
    }
}

/// Extensions that migrations request and that are not installed on this machine.
pub(super) fn extensions(project: &Project, migrations: &[Migration]) -> Result<String, String> {
    let wanted: Vec<&str> = migrations.iter().flat_map(Migration::extensions).collect();
    let data = data_folder(project.root()).unwrap_or_default();
    let available = find_binaries_for(&data).ok().and_then(|binaries| binaries.extensions());
    let Some(available) = available else { return Ok("unknown until the server runs".to_owned()) };
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| available.iter().all(|there| there != name)).collect();
    match missing.as_slice() {
        [] => Ok(format!("{} requested by migrations, all installed", wanted.len())),
        missing => Err(format!(
            "migrations request {}, which PostgreSQL does not have; install its package (on Debian postgresql-VERSION-NAME)",
            missing.join(", ")
        )),
    }
}

/// Whether an upgrade has replaced PostgreSQL's or rowhouse's binaries under the running server.
pub(super) fn current_programs(project: &Project) -> Result<(), String> {
    let Some(state) = State::read(project) else { return Ok(()) };
    let ours = i32::try_from(state.pid).is_ok_and(is_replaced);
    match (state.pg_pid.is_some_and(is_replaced), ours) {
        (false, false) => Ok(()),
        (true, _) => {
            Err("PostgreSQL was upgraded under the running server; stop and start rowhouse".to_owned())
        }
        (false, true) => {
            Err("rowhouse was upgraded and the old one still runs; stop and start it".to_owned())
        }
    }
}

/// Binds each port that `up` needs, since another account's sockets are not visible.
pub(super) fn free_ports(settings: &Settings) -> Result<String, String> {
    let server = settings.get::<ServerSettings>();
    let mut wanted = vec![("the API", server.authority())];
    if settings.get::<DbSettings>().server_url().is_none() {
        let port = server.port.checked_add(1).ok_or("port 65535 leaves none for PostgreSQL")?;
        wanted.push(("PostgreSQL", format!("127.0.0.1:{port}")));
    }
    // In production nothing listens for captured mail.
    let mode = match settings.is_production() {
        true => Mode::Serve,
        false => Mode::Development { api_port: server.port },
    };
    let listeners = crate::modules::modules().listeners(settings, mode).map_err(|error| error.to_string())?;
    wanted.extend(listeners.into_iter().map(|listener| (listener.name, listener.address)));
    let taken: Vec<String> = wanted.iter().filter_map(|(what, address)| taken(what, address)).collect();
    let addresses: Vec<&str> = wanted.iter().map(|(_, address)| address.as_str()).collect();
    match taken.as_slice() {
        [] => Ok(format!("{} are free", addresses.join(", "))),
        taken => Err(format!("{}; choose another with server.port, or --port of `up`", taken.join(", "))),
    }
}

fn taken(what: &str, address: &str) -> Option<String> {
    let error = TcpListener::bind(address).err()?;
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    let by = port.and_then(port_owner).map(|owner| format!(" by {owner}")).unwrap_or_default();
    Some(match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("{address} ({what}) is taken{by}"),
        _ => format!("{address} ({what}) cannot be bound: {error}"),
    })
}
