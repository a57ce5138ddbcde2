//! Physical replication against a real server: a base backup, WAL as it is written, and who is refused.

use rowhouse_db::replication::{BaseBackup, BasePart, Lsn, Replication, WalMessage, WalStream};
use rowhouse_db::{DbError, connect};
use rowhouse_kernel::{Secret, SystemClock};
use rowhouse_testkit::{Cluster, Pooler, in_time};
use std::sync::Arc;
use tokio_postgres::Client;

const SLOT: &str = "a_slot";

async fn replicate(url: &Secret) -> Result<Replication, DbError> {
    Replication::connect(url, Arc::new(SystemClock)).await
}

fn superuser(cluster: &Cluster) -> Secret {
    Secret::new(cluster.url("postgres", "postgres"))
}

async fn flushed(client: &Client) -> Lsn {
    let row = client.query_one("select pg_current_wal_flush_lsn()::text", &[]).await.unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

/// The next WAL, unless `reached` is enough.
async fn next_wal(stream: &mut WalStream, reached: Lsn, enough: Lsn) -> Option<(Lsn, Vec<u8>)> {
    if reached >= enough {
        return None;
    }
    match in_time("WAL", stream.next()).await.unwrap() {
        WalMessage::Data { start, bytes, .. } => {
            Some((Lsn(start.0 + u64::try_from(bytes.len()).unwrap()), bytes.to_vec()))
        }
        WalMessage::Keepalive { .. } => Some((reached, Vec::new())),
        WalMessage::End => panic!("the timeline ended"),
    }
}

/// Everything up to `end`.
async fn read_to(stream: &mut WalStream, end: Lsn) -> Vec<u8> {
    let (mut wal, mut reached) = (Vec::new(), Lsn(0));
    while let Some((position, bytes)) = next_wal(stream, reached, end).await {
        reached = position;
        wal.extend_from_slice(&bytes);
    }
    wal
}

/// The next part, but not the end, which goes to `stop`.
async fn next_part(backup: &mut BaseBackup, stop: &mut Option<Lsn>) -> Option<BasePart> {
    match in_time("a base backup", backup.next()).await.unwrap() {
        BasePart::End(ended) => {
            *stop = Some(ended.stop);
            None
        }
        part => Some(part),
    }
}

/// A message that is not WAL; none once the server has refused, with its code in `code`.
async fn next_quiet(stream: &mut WalStream, code: &mut Option<String>) -> Option<WalMessage> {
    match in_time("a refusal", stream.next()).await {
        Ok(message) => Some(message),
        Err(error) => {
            *code = error.code().map(str::to_owned);
            None
        }
    }
}

#[tokio::test]
async fn base_backup_has_the_cluster_s_files_and_a_manifest() {
    let cluster = Cluster::start();
    let mut backup = replicate(&superuser(&cluster)).await.unwrap().base_backup("it's a test").await.unwrap();
    let (mut tar, mut manifest, mut archives, mut is_manifest) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut stop = None;
    while let Some(part) = next_part(&mut backup, &mut stop).await {
        match part {
            BasePart::Archive(archive) => archives.push(archive.name),
            BasePart::Manifest => is_manifest = true,
            BasePart::Data(bytes) if is_manifest => manifest.extend_from_slice(&bytes),
            BasePart::Data(bytes) => tar.extend_from_slice(&bytes),
            BasePart::Progress(_) | BasePart::End(_) => {}
        }
    }
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let files: Vec<&str> =
        manifest["Files"].as_array().unwrap().iter().filter_map(|file| file["Path"].as_str()).collect();
    assert!(files.contains(&"PG_VERSION") && files.contains(&"global/pg_control"), "{files:?}");
    assert_eq!((archives, &tar[..12]), (vec!["base.tar".to_owned()], b"backup_label".as_slice()));
    assert!(Some(backup.start) < stop && backup.estimated_bytes > 1_000_000, "{backup:?} {stop:?}");
}

#[tokio::test]
async fn stream_has_what_is_committed_and_the_slot_keeps_what_is_not_confirmed() {
    let cluster = Cluster::start();
    let url = superuser(&cluster);
    let client = connect(&url).await.unwrap();
    let mut replication = replicate(&url).await.unwrap();
    assert_eq!(replication.find_slot(SLOT).await.unwrap(), None);
    assert!(replication.ensure_slot(SLOT).await.unwrap());
    assert!(!replication.ensure_slot(SLOT).await.unwrap());
    let slot = replication.find_slot(SLOT).await.unwrap().unwrap();
    let identity = replication.identify().await.unwrap();
    assert_eq!((slot.timeline, identity.timeline), (1, 1));
    assert_eq!(replication.show("wal_segment_size").await.unwrap(), "16MB");
    let start = flushed(&client).await;
    client.batch_execute("create table public.marked as select 'a-mark-in-the-wal' as mark").await.unwrap();
    let end = flushed(&client).await;
    let mut stream = replication.stream(SLOT, start, identity.timeline).await.unwrap();
    let wal = read_to(&mut stream, end).await;
    assert!(wal.windows(17).any(|bytes| bytes == b"a-mark-in-the-wal"));

    let busy = replicate(&url).await.unwrap().stream(SLOT, start, 1).await.unwrap_err();
    assert_eq!(busy.code(), Some("55006"), "{busy}");
    stream.confirm(end).await.unwrap();
    let confirmed = format!("exists (select from pg_replication_slots where restart_lsn = '{end}')");
    rowhouse_testkit::until_true(&client, &confirmed).await;
}

#[tokio::test]
async fn wal_that_is_gone_and_the_history_of_the_first_timeline_are_refused() {
    let cluster = Cluster::start();
    let url = superuser(&cluster);
    let mut replication = replicate(&url).await.unwrap();
    replication.ensure_slot(SLOT).await.unwrap();
    assert!(replication.timeline_history(1).await.is_err());
    // No cluster has the first segment.
    let mut stream = replication.stream(SLOT, Lsn(8192), 1).await.unwrap();
    let mut code = None;
    while let Some(message) = next_quiet(&mut stream, &mut code).await {
        assert!(!matches!(message, WalMessage::Data { .. }), "{message:?}");
    }
    assert_eq!(code.as_deref(), Some("58P01"));
}

#[tokio::test]
async fn login_without_the_attribute_is_told_the_remedy() {
    let cluster = Cluster::start();
    let client = connect(&superuser(&cluster)).await.unwrap();
    client.batch_execute("create role plain login password 'test'").await.unwrap();
    let refused = replicate(&Secret::new(cluster.url("plain", "postgres"))).await.unwrap_err();
    assert!(refused.to_string().contains("alter role \"plain\" replication"), "{refused}");
}

#[tokio::test]
async fn pooler_is_named() {
    let pooler = Pooler::start("session").await;
    let refused = replicate(&Secret::new(pooler.url("postgres", "postgres"))).await.unwrap_err();
    assert!(refused.to_string().contains("connection pooler"), "{refused}");
}
