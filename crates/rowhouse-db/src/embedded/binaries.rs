//! Finds PostgreSQL's server programs on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// The oldest major version that can be served.
pub const MINIMUM_VERSION: u32 = 15;

/// A folder with PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// Major version.
    pub version: u32,
}

impl Binaries {
    /// The path of one program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Finds the newest usable server: PATH, `pg_config`, then the folders of the distributions.
///
/// # Errors
/// One message that names the package to install.
pub fn find_binaries() -> Result<Binaries, EmbeddedError> {
    choose(found())
}

/// Finds the server of the major version that wrote `data`; without data, the newest.
///
/// # Errors
/// One message that names the package to install.
pub fn find_binaries_for(data: &Path) -> Result<Binaries, EmbeddedError> {
    match data_version(data) {
        Some(version) => choose_version(found(), version, data),
        None => find_binaries(),
    }
}

/// Another program of a major version, in whichever of its folders it lies: some have the server's alone.
#[must_use]
pub fn find_program(version: u32, name: &str) -> Option<PathBuf> {
    let folders = found().into_iter().filter(|binaries| binaries.version == version);
    folders.map(|binaries| binaries.program(name)).find(|program| program.is_file())
}

/// A client program, such as `pg_dump`, of a version and at least so new: of those that fit the oldest, which is the nearest to
/// the server. It may be installed without a server's programs.
///
/// # Errors
/// One message that names the package to install.
pub fn find_client(name: &str, version: u32) -> Result<(PathBuf, u32), EmbeddedError> {
    let mut found: Vec<(u32, PathBuf)> =
        candidates().iter().filter_map(|folder| inspect_client(&folder.join(name))).collect();
    found.sort_unstable();
    let newest = found.last().map(|(version, path)| format!("version {version} in {}", path.display()));
    let fit = found.into_iter().find(|(found, _)| *found >= version);
    fit.map(|(version, path)| (path, version)).ok_or_else(|| {
        EmbeddedError::Binaries(format!(
            "{name} of PostgreSQL {version} or newer is needed, since older ones do not know everything of such a server \
             (newest found: {}); {}",
            newest.unwrap_or_else(|| "none".to_owned()),
            remedy_for_client(version)
        ))
    })
}

/// Debian's wrapper of the same name chooses a version by itself.
fn inspect_client(program: &Path) -> Option<(u32, PathBuf)> {
    if program.canonicalize().ok()?.ends_with("pg_wrapper") {
        return None;
    }
    let output = Command::new(program).arg("--version").output().ok()?;
    Some((major_version(&String::from_utf8_lossy(&output.stdout))?, program.to_owned()))
}

/// Refuses if the server programs of a major version are not installed; `what` is the data that needs them.
///
/// # Errors
/// One message that names the package to install.
pub fn require_binaries(version: u32, what: &Path) -> Result<(), EmbeddedError> {
    choose_version(found(), version, what).map(drop)
}

/// The major version that wrote a data directory.
#[must_use]
pub fn data_version(data: &Path) -> Option<u32> {
    std::fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

fn found() -> Vec<Binaries> {
    candidates().into_iter().filter_map(inspect).collect()
}

/// A newer server cannot read older data, so another installed version must not be chosen.
fn choose_version(found: Vec<Binaries>, version: u32, data: &Path) -> Result<Binaries, EmbeddedError> {
    let mut others: Vec<u32> = found.iter().map(|b| b.version).collect();
    others.sort_unstable();
    others.dedup();
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    found.into_iter().find(|b| b.version == version).ok_or_else(|| {
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        EmbeddedError::Binaries(format!(
            "the data in {} was written by PostgreSQL {version}, which is not installed (found: {others}); {}, or move the data with pg_upgrade",
            data.display(),
            remedy_for(version)
        ))
    })
}

fn choose(found: Vec<Binaries>) -> Result<Binaries, EmbeddedError> {
    let newest = found.into_iter().max_by_key(|b| b.version);
    match newest {
        Some(binaries) if binaries.version >= MINIMUM_VERSION => Ok(binaries),
        Some(old) => Err(EmbeddedError::Binaries(format!(
            "PostgreSQL {} in {} is too old: version {MINIMUM_VERSION} or newer is needed; {}",
            old.version,
            old.folder.display(),
            remedy()
        ))),
        None => Err(EmbeddedError::Binaries(format!("no PostgreSQL server found; {}", remedy()))),
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, inner) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr/libexec", "bin"),
        ("/usr", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/usr/local/opt", "bin"),
    ] {
        folders.extend(versioned(Path::new(parent), inner));
    }
    folders
}

/// `/usr/lib/postgresql/15/bin`, `/usr/pgsql-16/bin`, `/opt/homebrew/opt/postgresql@17/bin`, …
fn versioned(parent: &Path, inner: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let is_ours = |name: &str| {
        parent.ends_with("postgresql") || name.starts_with("pgsql-") || name.starts_with("postgresql")
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_ours(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path().join(inner))
        .collect()
}

/// A folder counts only with both programs; on Debian PATH contains neither.
fn inspect(folder: PathBuf) -> Option<Binaries> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let version = major_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { folder, version })
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`; a development version reads `19devel`.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split(") ").nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn remedy() -> &'static str {
    let has = |program: &str| {
        ["/usr/bin", "/bin", "/opt/homebrew/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    if has("apt-get") {
        "install it with: apt-get install postgresql"
    } else if has("dnf") {
        "install it with: dnf install postgresql-server"
    } else if has("apk") {
        "install it with: apk add postgresql"
    } else if has("brew") {
        "install it with: brew install postgresql"
    } else {
        "install your system's PostgreSQL server package"
    }
}

fn remedy_for(version: u32) -> String {
    match remedy() {
        by_apt if by_apt.contains("apt-get") => {
            format!("install it with: apt-get install postgresql-{version}")
        }
        _ => format!("install PostgreSQL {version}"),
    }
}

fn remedy_for_client(version: u32) -> String {
    match remedy() {
        by_apt if by_apt.contains("apt-get") => {
            format!("install it with: apt-get install postgresql-client-{version}")
        }
        _ => format!("install the client programs of PostgreSQL {version}"),
    }
}

impl Binaries {
    /// Extensions that can be created, where their folder is found: each has a control file.
    #[must_use]
    pub fn extensions(&self) -> Option<Vec<String>> {
        let beside = |folder: &str| self.folder.join("..").join(folder);
        let folders = [
            PathBuf::from(format!("/usr/share/postgresql/{}/extension", self.version)),
            beside("share/extension"),
            beside("share/postgresql/extension"),
            PathBuf::from("/usr/share/pgsql/extension"),
            PathBuf::from("/usr/share/postgresql/extension"),
        ];
        let folder = folders.into_iter().find(|folder| folder.join("plpgsql.control").exists())?;
        let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
        let names =
            files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".control")?.to_owned()));
        Some(names.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Binaries, choose, choose_version, find_client, major_version};

    #[test]
    fn version_is_parsed_from_the_server_s_output() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(major_version("nonsense"), None);
    }

    #[test]
    fn old_server_gives_one_message_with_the_remedy() {
        let old = Binaries { folder: "/usr/lib/postgresql/13/bin".into(), version: 13 };
        let message = choose(vec![old]).unwrap_err().to_string();
        assert!(message.starts_with(
            "PostgreSQL 13 in /usr/lib/postgresql/13/bin is too old: version 15 or newer is needed; install"
        ));
        assert!(
            choose(Vec::new()).unwrap_err().to_string().starts_with("no PostgreSQL server found; install")
        );
    }

    #[test]
    fn server_of_the_data_s_version_is_chosen_although_a_newer_one_exists() {
        let at = |version| Binaries { folder: "/x".into(), version };
        let data = std::path::Path::new("/data");
        assert_eq!(choose_version(vec![at(18), at(15)], 15, data).unwrap().version, 15);
        let message = choose_version(vec![at(18), at(16), at(18)], 15, data).unwrap_err().to_string();
        assert!(message.starts_with(
            "the data in /data was written by PostgreSQL 15, which is not installed (found: 16, 18); install"
        ));
    }

    #[test]
    fn client_program_is_at_least_as_new_as_the_server() {
        let (path, version) = find_client("pg_dump", 15).unwrap();
        assert!(version >= 15 && path.is_file(), "{}", path.display());
        let message = find_client("pg_dump", 99).unwrap_err().to_string();
        assert!(
            message.starts_with("pg_dump of PostgreSQL 99 or newer is needed") && message.contains("install"),
            "{message}"
        );
    }

    #[test]
    fn newest_server_is_chosen() {
        let at = |version| Binaries { folder: "/x".into(), version };
        assert_eq!(choose(vec![at(13), at(17), at(15)]).unwrap().version, 17);
    }
}
