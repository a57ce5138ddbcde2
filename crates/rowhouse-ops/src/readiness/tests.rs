use std::time::Duration;

use rowhouse_db::{Database, DbSettings};
use rowhouse_testkit::{Cluster, TestDatabase, until};

use super::Readiness;

/// Readiness tells of a change in this time.
const WITHIN: Duration = Duration::from_secs(10);

/// A reason that names `part`, within ten seconds.
async fn turns_unready(readiness: &Readiness, part: &str) {
    let named = async || readiness.check(true).await.is_err_and(|reason| reason.contains(part));
    until(part, WITHIN, named).await;
}

async fn turns_ready(readiness: &Readiness) {
    until("ready again", WITHIN, async || readiness.check(true).await.is_ok()).await;
}

#[tokio::test]
async fn refused_login_makes_the_process_not_ready() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    turns_ready(&readiness).await;
    db.superuser()
        .await
        .batch_execute(
            "alter role authenticator_service nologin;
             select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator_service'",
        )
        .await
        .unwrap();
    turns_unready(&readiness, "service_role").await;
    let workers_only = Readiness::new(readiness.database.clone());
    let ready = async || workers_only.check(false).await.is_ok();
    until("a worker flies nothing, and is ready", WITHIN, ready).await;
}

#[tokio::test]
async fn read_only_database_makes_the_process_not_ready() {
    let db = TestDatabase::create().await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    turns_ready(&readiness).await;
    let client = db.superuser().await;
    client
        .batch_execute(&format!(
            "alter database {0} set default_transaction_read_only = on;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{0}' and pid <> pg_backend_pid()",
            db.name
        ))
        .await
        .unwrap();
    turns_unready(&readiness, "read-only").await;
}

#[tokio::test]
async fn server_without_free_connections_makes_the_process_not_ready() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    turns_ready(&readiness).await;
    let client = db.superuser().await;
    for (login, limit) in [("authenticator", 0), ("authenticator", -1), ("rowhouse", 0), ("rowhouse", -1)] {
        client
            .batch_execute(&format!(
                "alter role {login} connection limit {limit};
                 select pg_terminate_backend(pid) from pg_stat_activity where usename = '{login}'"
            ))
            .await
            .unwrap();
        match limit {
            0 => turns_unready(&readiness, "53300").await,
            _ => turns_ready(&readiness).await,
        }
    }
}

/// A file system of its own, of 4 MB.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(cluster: &Cluster) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let folder = cluster.folder().join("small");
        std::fs::create_dir(&folder).unwrap();
        let owner = cluster.folder().metadata().unwrap();
        let options = format!("size=4m,uid={},gid={},mode=700", owner.uid(), owner.gid());
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn full_disk_makes_the_process_not_ready() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let Some(disk) = SmallDisk::mount(&cluster) else {
        return eprintln!("skipped: a file system of its own cannot be mounted here");
    };
    let db = TestDatabase::on_own_cluster(&cluster).await;
    let client = db.superuser().await;
    let tablespace = format!("create tablespace small location '{}'", disk.0.display());
    client.batch_execute(&tablespace).await.unwrap();
    let used = "grant create on tablespace small to public; alter role rowhouse set temp_tablespaces = small";
    client.batch_execute(used).await.unwrap();
    let (database, _monitor) = Database::open_monitored(&db.urls, &DbSettings::default(), true).unwrap();
    let readiness = Readiness::new(database);
    turns_ready(&readiness).await;
    let filler = disk.0.join("filler");
    let _no_room_for_all = std::fs::write(&filler, vec![0; 5 << 20]);
    turns_unready(&readiness, "53100").await;
    std::fs::remove_file(filler).unwrap();
    turns_ready(&readiness).await;
}
