//! Restores a logical backup: into a new project's cluster, or into an empty database. What is read from the store goes to
//! pg_restore without touching a disk. Leaves which backup it is to its callers.

mod interrupted;
mod loader;
mod post_data;
mod role;

use rowhouse_db::DbError;
use rowhouse_db::embedded::{ClusterPaths, Temporary, create_restoring, find_binaries};
use rowhouse_kernel::{Rng, Secret, SharedClock};
use rowhouse_module::{CannotRun, Project, Secrets};
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio_postgres::Client;

use self::loader::Loader;
use self::post_data::{List, PostData};
use self::role::Roles;
use super::{password, restore_project};
use crate::logical::{ARCHIVE, Details, GLOBALS, Globals, Process, command, find, list_post_data};
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::state;
use crate::store::BackupReader;

/// The superuser of clusters that `up` starts, and the database in them.
const EMBEDDED: &str = "postgres";

/// What was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) details: Details,
    /// Roles' attributes, memberships, settings and grants that the server did not take or must not, by name, with the reason.
    pub(crate) left_out: Vec<String>,
}

/// Makes a cluster of the project, with the backup's database and the project's files in it.
pub(crate) async fn into_project(
    reader: &BackupReader,
    project: &Project,
    rng: &dyn Rng,
    clock: &SharedClock,
) -> Result<Restored, CannotRun> {
    require_version(&reader.manifest, find_binaries()?.version)?;
    restore_project(reader, project.root()).await?;
    let secrets = Secrets::ensure(project, rng)?;
    // Until everything is in it, `up` refuses it by its name.
    let (paths, account) = create_restoring(project.root(), &secrets.postgres)?;
    // Each statement of pg_restore is a commit; what counts is on disk when the server has stopped.
    let mut server = Temporary::start(&paths, &account, &[("synchronous_commit", "off".to_owned())])?;
    let done = async {
        let client = server.connect(EMBEDDED).await?;
        let restored = fill(reader, (&client, &server.url(EMBEDDED, EMBEDDED)), rng, clock).await?;
        password::set(&client, &secrets).await?;
        client.batch_execute("analyze").await.map_err(DbError::from)?;
        Ok(restored)
    };
    let done: Result<Restored, CannotRun> = done.await;
    server.stop().await;
    let _of_the_server_that_was_stopped = std::fs::remove_file(paths.home.join("access.conf"));
    let restored = done?;
    finish(&paths)?;
    Ok(restored)
}

/// Gives the data directory its name.
fn finish(paths: &ClusterPaths) -> Result<(), CannotRun> {
    let data = paths.home.join("data");
    let failed = |error| CannotRun::because(format!("cannot rename {}: {error}", paths.data.display()));
    std::fs::rename(&paths.data, data).map_err(failed)
}

/// Fills an empty database, or one in which a killed restore has left a part if `replaces`.
pub(crate) async fn into_database(
    reader: &BackupReader,
    (url, replaces): (&Secret, bool),
    rng: &dyn Rng,
    clock: &SharedClock,
) -> Result<Restored, CannotRun> {
    let version = server_version(url).await?;
    require_version(&reader.manifest, version)?;
    let client = interrupted::enter(url, replaces).await?;
    match fill(reader, (&client, url), rng, clock).await {
        Err(error) if interrupted::is_untouched(&client).await.is_ok_and(|is| is) => {
            // It is a copy of nothing.
            state::conclude(&client).await?;
            Err(error)
        }
        Err(error) => Err(CannotRun::because(format!(
            "{error}; the database holds a part of the backup now, which the next attempt replaces with --yes"
        ))),
        done => done,
    }
}

async fn server_version(url: &Secret) -> Result<u32, DbError> {
    let sql = "select current_setting('server_version_num')::int / 10000";
    let version: i32 = rowhouse_db::connect(url).await?.query_one(sql, &[]).await?.get(0);
    Ok(u32::try_from(version).unwrap_or_default())
}

/// Older servers do not know everything that a newer one's dump says.
fn require_version(manifest: &Manifest, version: u32) -> Result<(), CannotRun> {
    let major = manifest.postgres_version.split(|c: char| !c.is_ascii_digit()).next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or_default();
    match version >= major {
        true => Ok(()),
        false => Err(CannotRun::because(format!(
            "backup {} is of PostgreSQL {major}, and the server to restore it is {version}; use PostgreSQL {major} or newer",
            manifest.id
        ))),
    }
}

async fn fill(
    reader: &BackupReader,
    (client, url): (&Client, &Secret),
    rng: &dyn Rng,
    clock: &SharedClock,
) -> Result<Restored, CannotRun> {
    let manifest = &reader.manifest;
    let details: Details = serde_json::from_value(manifest.details.clone())
        .map_err(|error| CannotRun::because(format!("{}: {error}", manifest.id)))?;
    let globals: Globals = document(reader, GLOBALS).await?;
    // Whoever waits for the database's tables knows from the first of them on that it is a copy.
    let is_announced = state::announce_copy(client, manifest.id.as_str()).await?;
    let mut roles = Roles::create(client, &globals).await?;
    if !is_announced {
        roles
            .left_out
            .push("the mark of a copy while rows are restored: only a superuser sets it".to_owned());
    }
    let archive = Archive { reader, version: details.pg_dump, clock };
    match Loader::create(client, url, rng).await? {
        None => archive.restore(url, &["--single-transaction"]).await?,
        Some(loader) => {
            let done = in_sections(&archive, (client, url), &loader).await;
            loader.remove(client).await?;
            done?;
        }
    }
    roles.grant().await?;
    let left_out = roles.left_out;
    state::mark_copy(client, manifest.id.as_str()).await?;
    Ok(Restored { details, left_out })
}

/// Tables and what is made when their rows are there, as the superuser; the rows, and what is validated with them, as another login.
async fn in_sections(
    archive: &Archive<'_>,
    (client, url): (&Client, &Secret),
    loader: &Loader,
) -> Result<(), CannotRun> {
    archive.restore(url, &["--section=pre-data"]).await?;
    let owners = loader.join_owners(client).await?;
    archive.restore(&loader.url, &["--section=data"]).await?;
    let parts = PostData::of(&archive.post_data().await?, &owners);
    for (url, entries) in [(url, parts.indexes), (&loader.url, parts.checked), (url, parts.others)] {
        if !entries.is_empty() {
            let list = List::of(&entries)?;
            archive.restore(url, &[&list.option()]).await?;
        }
    }
    Ok(())
}

/// What pg_dump wrote.
struct Archive<'a> {
    reader: &'a BackupReader,
    /// Major version of pg_dump.
    version: u32,
    clock: &'a SharedClock,
}

impl Archive<'_> {
    async fn restore(&self, url: &Secret, options: &[&str]) -> Result<(), CannotRun> {
        let (program, _) = find("pg_restore", self.version)?;
        let mut command = command(&program, url)?;
        command.args(["--exit-on-error", "--no-password"]).args(options);
        command.arg(format!("--dbname={}", connection(url)?));
        self.feed(Process::start(command, "pg_restore")?).await
    }

    /// Its entries of what is made when the rows are there.
    async fn post_data(&self) -> Result<String, CannotRun> {
        let mut process = list_post_data(self.version)?;
        let output = process.take_output();
        let reading = tokio::spawn(async move {
            let mut listing = Vec::new();
            if let Some(mut output) = output {
                output.read_to_end(&mut listing).await?;
            }
            std::io::Result::Ok(listing)
        });
        self.feed(process).await?;
        let listing = reading.await.map_err(|error| CannotRun::because(error.to_string()))??;
        // In the encoding of the dump; only numbers, kinds and owners are looked at.
        Ok(String::from_utf8_lossy(&listing).into_owned())
    }

    async fn feed(&self, mut process: Process) -> Result<(), CannotRun> {
        let mut object = self.reader.object(ARCHIVE)?;
        let total = self.reader.manifest.objects.iter().find(|object| object.name == ARCHIVE);
        let mut progress = Progress::new("restored", total.map(|object| object.bytes), self.clock.clone());
        while let Some(bytes) = object.next().await? {
            // It has failed, and its message is the one to report, or it needs no more.
            if !process.feed(&bytes).await {
                break;
            }
            progress.add(bytes.len() as u64);
        }
        process.end().await
    }
}

/// The database as pg_restore takes it. Its name is quoted, or one with `=` would be read as further parameters.
fn connection(url: &Secret) -> Result<String, DbError> {
    let config = rowhouse_db::url::read(url)?;
    let name = config.get_dbname().or(config.get_user()).unwrap_or(EMBEDDED);
    Ok(format!("dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'")))
}

async fn document<T: DeserializeOwned>(reader: &BackupReader, name: &str) -> Result<T, CannotRun> {
    let mut object = reader.object(name)?;
    let mut text = Vec::new();
    while let Some(bytes) = object.next().await? {
        text.extend_from_slice(&bytes);
    }
    Ok(serde_json::from_slice(&text)?)
}
