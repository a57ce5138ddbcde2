//! What is written is what is read, by whom it was sealed for and nobody else.

use rowhouse_backup::{BackupId, Condition, Identity, Lsn, Point, StoreError};
use rowhouse_kernel::{Clock, SeededRng};

use crate::scene::{CHUNK, SYSTEM, Scene, back_up, files, finish, read, start};

#[tokio::test]
async fn objects_of_every_size_are_read_as_they_were_written() {
    let scene = Scene::new(1);
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 777_777];
    let names: Vec<String> = sizes.iter().map(|size| format!("o{size}.tar")).collect();
    let objects: Vec<(&str, Vec<u8>)> =
        names.iter().zip(sizes).map(|(name, size)| (name.as_str(), scene.bytes(size))).collect();
    let manifest = back_up(&scene.store(), &objects, (1, 1)).await;
    for (name, content) in &objects {
        assert_eq!(read(&scene.store(), &manifest.id, name).await.unwrap(), *content, "{name}");
    }
    assert_eq!(manifest.bytes(), sizes.iter().sum::<usize>() as u64);
    let listed = scene.store().list().await.unwrap();
    assert_eq!(listed[0].manifest(), Some(&manifest));
}

#[tokio::test]
async fn each_key_opens_alone_and_another_does_not() {
    let scene = Scene::new(2);
    let content = scene.bytes(200_000);
    let manifest = back_up(&scene.store(), &[("base.tar", content.clone())], (1, 1)).await;
    let escrow = scene.store_with(scene.escrow.clone());
    assert_eq!(read(&escrow, &manifest.id, "base.tar").await.unwrap(), content);
    assert!(escrow.open_wal(SYSTEM, 1).await.is_ok());
    let stranger = scene.store_with(Identity::generate(&*SeededRng::new(99)).unwrap());
    assert!(matches!(stranger.open_backup(&manifest.id).await, Err(StoreError::WrongKey { .. })));
    assert!(matches!(stranger.open_wal(SYSTEM, 1).await, Err(StoreError::WrongKey { .. })));
    assert_eq!(stranger.list().await.unwrap()[0].condition.name(), "wrong_key");
}

#[tokio::test]
async fn backup_without_a_commit_is_incomplete() {
    let scene = Scene::new(3);
    let store = scene.store();
    let writer = store.begin_backup(start()).await.unwrap();
    let id = writer.id().clone();
    let mut object = writer.object("base.tar").unwrap();
    object.write(&scene.bytes(3 * CHUNK)).await.unwrap();
    let unfinished = writer.commit(finish(40, 80)).await;
    assert!(matches!(unfinished, Err(StoreError::Invalid(_))), "{unfinished:?}");
    drop(object);
    assert!(matches!(store.open_backup(&id).await, Err(StoreError::NotFound { .. })));
    let listed = store.list().await.unwrap();
    assert!(listed.iter().all(|listed| matches!(listed.condition, Condition::Incomplete)), "{listed:?}");
}

#[tokio::test]
async fn segments_and_points_are_kept_by_cluster_and_timeline() {
    let scene = Scene::new(4);
    let store = scene.store();
    let wal = store.ensure_wal(SYSTEM, 2).await.unwrap();
    let name = "000000020000000000000003";
    wal.put(name, scene.bytes(100_000).into()).await.unwrap();
    wal.put(name, "again".into()).await.unwrap();
    assert_eq!(store.open_wal(SYSTEM, 2).await.unwrap().get(name).await.unwrap(), "again");
    let names: Vec<String> = wal.list().await.unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, [name]);
    assert!(matches!(store.open_wal(SYSTEM, 3).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.list_timelines().await.unwrap(), [(SYSTEM.to_owned(), 2)]);
    let (name, system_id) = ("before-import".to_owned(), SYSTEM.to_owned());
    let point = Point { name, system_id, timeline: 2, lsn: Lsn(0x300_0000), at: scene.clock.now() };
    store.put_point(&point).await.unwrap();
    assert!(matches!(store.put_point(&point).await, Err(StoreError::Exists { .. })));
    assert_eq!(store.get_point("before-import").await.unwrap(), point);
}

#[tokio::test]
async fn escrow_key_that_is_added_later_opens_the_log() {
    let mut scene = Scene::new(5);
    let later = std::mem::take(&mut scene.settings.escrow);
    scene.store().ensure_wal(SYSTEM, 1).await.unwrap();
    assert!(scene.store_with(scene.escrow.clone()).open_wal(SYSTEM, 1).await.is_err());
    scene.settings.escrow = later;
    scene.store().ensure_wal(SYSTEM, 1).await.unwrap();
    assert!(scene.store_with(scene.escrow.clone()).open_wal(SYSTEM, 1).await.is_ok());
}

#[tokio::test]
async fn only_the_owner_can_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(6);
    back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 1)).await;
    let key = scene.project().private("keys/backup.key");
    for file in files(&scene.folder()).into_iter().chain([key]) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn backup_that_does_not_fit_is_refused_before_it_begins() {
    let mut scene = Scene::new(7);
    scene.settings.min_free_bytes = u64::MAX / 2;
    let refused = scene.store().begin_backup(start()).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })));
    assert!(!scene.folder().exists());
}

#[test]
fn names_that_lead_out_of_the_store_are_none() {
    for text in ["", "..", "a/b", "../a", ".", "a\0"] {
        assert_eq!(BackupId::parse(text), None, "{text}");
    }
}

#[tokio::test]
async fn log_is_not_written_into_a_folder_whose_store_is_not_mounted_any_more() {
    let scene = Scene::new(8);
    let wal = scene.store().ensure_wal(SYSTEM, 1).await.unwrap();
    wal.put("000000010000000000000001", "log".into()).await.unwrap();
    let elsewhere = scene.folder().with_extension("elsewhere");
    std::fs::rename(scene.folder(), &elsewhere).unwrap();
    let refused = wal.put("000000010000000000000002", "log".into()).await;
    assert!(
        matches!(&refused, Err(StoreError::Corrupt { why, .. }) if why.contains("mounted")),
        "{refused:?}"
    );
    assert!(!scene.folder().exists());
    std::fs::rename(&elsewhere, scene.folder()).unwrap();
    wal.put("000000010000000000000002", "log".into()).await.unwrap();
}
