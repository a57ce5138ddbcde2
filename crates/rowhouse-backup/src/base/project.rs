//! The project's own files in a backup: settings, migrations, seed and keys, without which the cluster is of no use.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_module::{CannotRun, Project};
use serde::{Deserialize, Serialize};

use crate::store::BackupWriter;

/// The object's name.
pub(crate) const OBJECT: &str = "project.json";
/// Files and folders that are taken, relative to the project.
const TAKEN: [&str; 5] = ["rowhouse.toml", "seed.sql", "launch.toml", "migrations", ".rowhouse/keys"];
/// What belongs to a cluster may be large; these are texts.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectFile {
    /// Relative to the project.
    pub(crate) path: String,
    /// Permissions.
    pub(crate) mode: u32,
    /// Base64.
    pub(crate) content: String,
}

impl ProjectFile {
    /// What is in it.
    pub(crate) fn content(&self) -> Result<Vec<u8>, CannotRun> {
        STANDARD.decode(&self.content).map_err(|error| CannotRun::because(format!("{}: {error}", self.path)))
    }
}

/// Writes the files as one object.
pub(crate) async fn save(project: &Project, writer: &BackupWriter) -> Result<(), CannotRun> {
    let root = project.root().to_owned();
    let files = tokio::task::spawn_blocking(move || collect(&root));
    let files = files.await.map_err(|error| CannotRun::because(error.to_string()))??;
    let mut object = writer.object(OBJECT)?;
    object.write(&serde_json::to_vec(&files)?).await?;
    object.finish().await?;
    Ok(())
}

fn collect(root: &Path) -> Result<Vec<ProjectFile>, CannotRun> {
    let (mut files, mut bytes) = (Vec::new(), 0);
    for taken in TAKEN {
        add(root, Path::new(taken), &mut files, &mut bytes)?;
    }
    Ok(files)
}

/// Links are not followed: they lead to what belongs to somebody else.
fn add(root: &Path, path: &Path, files: &mut Vec<ProjectFile>, bytes: &mut u64) -> Result<(), CannotRun> {
    let full = root.join(path);
    let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", full.display()));
    let Ok(entry) = full.symlink_metadata() else { return Ok(()) };
    if entry.is_dir() {
        let mut names: Vec<_> = std::fs::read_dir(&full)
            .map_err(failed)?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        return names.iter().try_for_each(|name| add(root, &path.join(name), files, bytes));
    }
    if !entry.is_file() {
        return Ok(());
    }
    *bytes += entry.len();
    if *bytes > MAX_BYTES {
        return Err(CannotRun::because(format!(
            "settings, migrations and keys are larger than {MAX_BYTES} bytes: move large files out of migrations/"
        )));
    }
    let Some(text) = path.to_str() else { return Ok(()) };
    let content = STANDARD.encode(std::fs::read(&full).map_err(failed)?);
    files.push(ProjectFile { path: text.to_owned(), mode: entry.permissions().mode() & 0o777, content });
    Ok(())
}

/// Copies the files of a project into a new one's folder.
pub(crate) fn copy_files(from: &Project, to: &Project) -> Result<(), CannotRun> {
    restore_files(to.root(), &collect(from.root())?)
}

/// Writes the files of a backup into a project's folder.
pub(crate) fn restore_files(root: &Path, files: &[ProjectFile]) -> Result<(), CannotRun> {
    for file in files {
        let path = Path::new(&file.path);
        let is_taken = TAKEN.iter().any(|taken| path.starts_with(taken));
        if !is_taken || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(CannotRun::because(format!("{} leads out of the project", file.path)));
        }
        let full = root.join(path);
        let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", full.display()));
        let is_private = path.starts_with(".rowhouse/keys");
        if let Some(folder) = full.parent() {
            let mode = if is_private { 0o700 } else { 0o755 };
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(failed)?;
        }
        let content = file.content()?;
        let mut options = std::fs::OpenOptions::new();
        // The folder is new: what stands there already was put there by somebody else.
        options.write(true).create_new(true).mode(file.mode & 0o777);
        let mut opened = options.open(&full).map_err(failed)?;
        std::io::Write::write_all(&mut opened, &content).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{ProjectFile, collect, restore_files};

    #[test]
    fn files_come_back_with_their_permissions() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = from.path().join(".rowhouse/keys/secrets.toml");
        std::fs::create_dir_all(key.parent().unwrap()).unwrap();
        std::fs::create_dir(from.path().join("migrations")).unwrap();
        std::fs::write(&key, "a = 1").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(from.path().join("migrations/1_a.sql"), "select 1").unwrap();
        std::fs::write(from.path().join("other"), "not taken").unwrap();
        let files = collect(from.path()).unwrap();
        restore_files(to.path(), &files).unwrap();
        assert_eq!(collect(to.path()).unwrap(), files);
        assert_eq!(files.len(), 2);
        let mode = to.path().join(".rowhouse/keys/secrets.toml").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn path_out_of_the_project_is_refused() {
        let to = tempfile::tempdir().unwrap();
        for path in ["../x", "/etc/x", "a/../../x"] {
            let file = ProjectFile { path: path.to_owned(), mode: 0o600, content: String::new() };
            assert!(restore_files(to.path(), &[file]).is_err(), "{path}");
        }
    }
}
