//! What `prune` removes, and what it never does.

use std::fs;

use rowhouse_backup::{BackupId, Deed, Lsn, Point, Store};
use rowhouse_kernel::Clock;
use serde_json::json;
use time::Duration;

use crate::scene::{MIB, SYSTEM, Scene, back_up, read, start};

/// A backup each day, with two segments of log, the clock standing after the last.
async fn days(scene: &Scene, count: u64) -> Vec<BackupId> {
    let mut ids = Vec::new();
    for day in 0..count {
        let content = scene.bytes(1000);
        ids.push(back_up(&scene.store(), &[("base.tar", content)], (2 * day + 1, 2 * day + 2)).await.id);
        scene.clock.advance(Duration::days(1));
    }
    ids
}

async fn ids(store: &Store) -> Vec<BackupId> {
    store.list().await.unwrap().into_iter().map(|listed| listed.id).collect()
}

async fn segments(store: &Store) -> Vec<u64> {
    let files = store.open_wal(SYSTEM, 1).await.unwrap().list().await.unwrap();
    let number = |name: &str| rowhouse_backup::parse_segment_name(name, 16 * MIB).map(|(_, number)| number);
    files.iter().filter_map(|file| number(&file.name)).collect()
}

#[tokio::test]
async fn old_backups_go_and_with_them_the_log_and_points_before_the_oldest_that_stays() {
    let mut scene = Scene::new(21);
    (scene.settings.keep_daily, scene.settings.keep_weekly) = (3, 0);
    let all = days(&scene, 5).await;
    let store = scene.store();
    for (name, segment) in [("early", 1), ("late", 8)] {
        let (name, system_id) = (name.to_owned(), SYSTEM.to_owned());
        let lsn = Lsn(segment * 16 * MIB);
        store.put_point(&Point { name, system_id, timeline: 1, lsn, at: scene.clock.now() }).await.unwrap();
    }
    let dry = store.prune(&scene.settings, true).await.unwrap();
    assert_eq!((&dry.removed[..], dry.wal_files, dry.points.len()), (&all[..2], 4, 1));
    assert_eq!(ids(&store).await, all, "a dry run removes nothing");
    let pruned = store.prune(&scene.settings, false).await.unwrap();
    assert_eq!((pruned.removed, pruned.bytes), (dry.removed, dry.bytes));
    assert_eq!(ids(&store).await, all[2..]);
    assert_eq!(segments(&store).await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(store.list_points().await.unwrap(), ["late"]);
    assert!(store.verify(None, &mut |_| {}).await.unwrap().is_good());
}

#[tokio::test]
async fn last_drilled_stays_and_with_it_its_log() {
    let mut scene = Scene::new(22);
    (scene.settings.keep_daily, scene.settings.keep_weekly) = (1, 0);
    let all = days(&scene, 4).await;
    let store = scene.store();
    store.record(&all[1], Deed::Drilled, true, json!({})).await.unwrap();
    store.record(&all[2], Deed::Drilled, false, json!({})).await.unwrap();
    store.prune(&scene.settings, false).await.unwrap();
    assert_eq!(ids(&store).await, [all[1].clone(), all[3].clone()]);
    assert_eq!(segments(&store).await, [3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn unfinished_backup_goes_once_nobody_can_be_writing_it() {
    let scene = Scene::new(23);
    let store = scene.store();
    let writer = store.begin_backup(start()).await.unwrap();
    let id = writer.id().clone();
    writer.object("base.tar").unwrap().finish().await.unwrap();
    drop(writer);
    // The folder's files have the machine's time, which is not that of the test.
    let file = scene.folder().join(format!("backups/{id}/data/base.tar/00000000"));
    let written_at = |ago: Duration| {
        let time = std::time::SystemTime::from(scene.clock.now() - ago);
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    };
    written_at(Duration::hours(23));
    assert_eq!(store.prune(&scene.settings, false).await.unwrap().incomplete, []);
    written_at(Duration::hours(25));
    assert_eq!(store.prune(&scene.settings, false).await.unwrap().incomplete, [id]);
    assert_eq!(ids(&store).await, []);
}

#[tokio::test]
async fn log_stays_while_a_backup_cannot_be_read() {
    let mut scene = Scene::new(24);
    (scene.settings.keep_daily, scene.settings.keep_weekly) = (1, 0);
    let all = days(&scene, 3).await;
    let manifest = scene.folder().join(format!("backups/{}/manifest.json", all[0]));
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, &whole[1..]).unwrap();
    let store = scene.store();
    let pruned = store.prune(&scene.settings, false).await.unwrap();
    assert_eq!(
        (pruned.removed, pruned.unreadable, pruned.wal_files),
        (vec![all[1].clone()], vec![all[0].clone()], 0)
    );
    fs::write(&manifest, whole).unwrap();
    assert!(read(&store, &all[0], "base.tar").await.is_ok());
}
