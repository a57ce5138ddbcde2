//! A store in a bucket: the same behaviour as on disk, and what is said when the service refuses or does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rowhouse_backup::{Condition, StoreError};
use rowhouse_kernel::Secret;

use crate::peer::{Peer, serve};
use crate::scene::{CHUNK, SYSTEM, Scene, back_up, read, start};

async fn scene(seed: u64) -> (Scene, Arc<Peer>) {
    let (mut scene, peer) = (Scene::new(seed), Arc::new(Peer::default()));
    scene.settings.store = "s3://bucket/some/prefix".to_owned();
    scene.settings.endpoint = Some(serve(Arc::clone(&peer)).await);
    scene.settings.access_key_id = Some("known".to_owned());
    scene.settings.secret_access_key = Some(Secret::new("secret"));
    (scene, peer)
}

#[tokio::test]
async fn backup_is_written_listed_verified_read_and_removed() {
    let (scene, peer) = scene(31).await;
    let (store, content) = (scene.store(), scene.bytes(6 * CHUNK + 1));
    let manifest = back_up(&store, &[("base.tar", content.clone())], (1, 2)).await;
    assert!(peer.objects.lock().unwrap().keys().all(|key| key.starts_with("some/prefix/")));
    assert_eq!(read(&store, &manifest.id, "base.tar").await.unwrap(), content);
    assert!(store.verify(None, &mut |_| {}).await.unwrap().is_good());
    assert!(matches!(store.list().await.unwrap()[0].condition, Condition::Good(_)));
    let chunk = format!("some/prefix/backups/{}/data/base.tar/00000003", manifest.id);
    peer.objects.lock().unwrap().insert(chunk, "other".into());
    assert_eq!(store.verify(None, &mut |_| {}).await.unwrap().damage.len(), 1);
    store.delete(&manifest.id).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn key_of_the_log_is_made_once() {
    let (scene, peer) = scene(32).await;
    let wal = scene.store().ensure_wal(SYSTEM, 1).await.unwrap();
    wal.put("000000010000000000000001", "log".into()).await.unwrap();
    let again = scene.store().ensure_wal(SYSTEM, 1).await.unwrap();
    assert_eq!(again.get("000000010000000000000001").await.unwrap(), "log");
    assert_eq!(peer.objects.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn busy_service_is_asked_again() {
    let (scene, peer) = scene(33).await;
    peer.busy.store(2, Ordering::Relaxed);
    let manifest = back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 1)).await;
    assert_eq!(read(&scene.store(), &manifest.id, "base.tar").await.unwrap(), b"x");
}

#[tokio::test]
async fn refusal_and_silence_are_told_apart() {
    let (mut scene, peer) = scene(34).await;
    scene.settings.access_key_id = Some("unknown".to_owned());
    let refused = scene.store().list().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused { why, .. } if why == "403 InvalidAccessKeyId unknown key")
    );
    assert!(!refused.to_string().contains("secret "), "{refused}");
    // Nobody listens there.
    scene.settings.endpoint = Some("http://127.0.0.1:1".to_owned());
    let silent = scene.store().list().await.unwrap_err();
    assert!(matches!(silent, StoreError::Unreachable { .. }), "{silent}");
    let writer = scene.store().begin_backup(start()).await.unwrap();
    let mut object = writer.object("base.tar").unwrap();
    object.write(b"x").await.unwrap();
    assert!(matches!(object.finish().await, Err(StoreError::Unreachable { .. })));
    assert!(peer.objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn missing_bucket_is_not_taken_for_an_empty_one() {
    let (mut scene, _peer) = scene(35).await;
    scene.settings.store = "s3://other".to_owned();
    let missing = scene.store().list().await.unwrap_err();
    assert!(matches!(&missing, StoreError::Refused { why, .. } if why == "404 NoSuchBucket"), "{missing}");
}
