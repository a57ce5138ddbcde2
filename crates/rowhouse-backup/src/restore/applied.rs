//! Files of migrations that were applied after the backup: the replayed database names them, the backup has not got them. Leaves
//! the project's other files to `base`.

use rowhouse_db::DbError;
use rowhouse_db::migrate::Migration;
use rowhouse_module::{CannotRun, Project};
use tokio_postgres::Client;

use super::project_files;
use crate::manifest::Manifest;
use crate::store::{Listed, Store};

/// A migration of the project that the restored database has.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    name: String,
    checksum: String,
}

impl Applied {
    fn is(&self, content: &[u8]) -> bool {
        std::str::from_utf8(content)
            .is_ok_and(|text| Migration::new(&self.name, text).checksum() == self.checksum)
    }

    fn is_in(&self, project: &Project) -> bool {
        std::fs::read(project.migrations().join(&self.name)).is_ok_and(|content| self.is(&content))
    }

    /// Whether the content is its text; then it is written.
    fn put(&self, project: &Project, content: &[u8]) -> Result<bool, CannotRun> {
        // A name comes from the database, and must not lead out of the folder.
        if self.name.contains('/') || !self.is(content) {
            return Ok(false);
        }
        std::fs::create_dir_all(project.migrations())?;
        std::fs::write(project.migrations().join(&self.name), content)?;
        Ok(true)
    }
}

/// Those that the database has; none without the platform's tables.
pub(super) async fn read(client: &Client) -> Result<Vec<Applied>, DbError> {
    let there = "select to_regclass('rowhouse.migrations') is not null";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "select name, checksum from rowhouse.migrations where kind = 'project' order by name";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| Applied { name: row.get(0), checksum: row.get(1) }).collect())
}

/// Completes the migrations of a restored project from the folder of the project that restores it, and from later backups. Each
/// file has to have the checksum under which it was applied. Returns the names of those that are nowhere.
pub(crate) async fn complete(
    (store, base): (&Store, &Manifest),
    applied: &[Applied],
    (from, to): (&Project, &Project),
) -> Result<Vec<String>, CannotRun> {
    let mut missing = Vec::new();
    for one in applied.iter().filter(|one| !one.is_in(to)) {
        let content = std::fs::read(from.migrations().join(&one.name)).unwrap_or_default();
        if !one.put(to, &content)? {
            missing.push(one);
        }
    }
    if !missing.is_empty() {
        take_from_backups((store, base), &mut missing, to).await?;
    }
    Ok(missing.into_iter().map(|one| one.name.clone()).collect())
}

/// Removes from `missing` what a later backup of the same cluster has. One that is damaged has nothing.
async fn take_from_backups(
    (store, base): (&Store, &Manifest),
    missing: &mut Vec<&Applied>,
    to: &Project,
) -> Result<(), CannotRun> {
    let listed = store.list().await?;
    let later = |one: &&Manifest| one.system_id == base.system_id && one.started_at > base.started_at;
    for manifest in listed.iter().filter_map(Listed::manifest).filter(later) {
        let Ok(reader) = store.open_backup(&manifest.id).await else { continue };
        let Ok(files) = project_files(&reader).await else { continue };
        for (path, content) in files.iter().filter_map(|file| Some((&file.path, file.content().ok()?))) {
            let found = missing.iter().position(|one| *path == format!("migrations/{}", one.name));
            if let Some(at) = found
                && missing[at].put(to, &content)?
            {
                missing.remove(at);
            }
        }
    }
    Ok(())
}
