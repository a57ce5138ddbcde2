//! Whatever is changed in a store, by accident or on purpose, is found and named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rowhouse_backup::{Condition, Deed, Lsn, Manifest, Point, StoreError, Verification, segment_name};
use rowhouse_kernel::{Clock, Rng};

use crate::scene::{CHUNK, MIB, SYSTEM, Scene, back_up, files, finish, read, start};

const TRIALS: usize = 100;

/// Two backups, their log, a point and the records of a verification and a drill.
async fn filled(scene: &Scene) -> Manifest {
    let store = scene.store();
    let objects = [("base.tar", scene.bytes(5 * CHUNK + 7)), ("small.tar", b"x".to_vec())];
    back_up(&store, &objects, (1, 3)).await;
    scene.clock.advance(time::Duration::days(1));
    let second = back_up(&store, &objects, (4, 6)).await;
    let (name, system_id) = ("a".to_owned(), SYSTEM.to_owned());
    let point = Point { name, system_id, timeline: 1, lsn: Lsn(99), at: scene.clock.now() };
    store.put_point(&point).await.unwrap();
    assert!(verify(scene).await.is_good());
    store.record(&second.id, Deed::Drilled, true, serde_json::json!({})).await.unwrap();
    second
}

async fn verify(scene: &Scene) -> Verification {
    scene.store().verify(None, &mut |_| {}).await.unwrap()
}

fn number(scene: &Scene, below: usize) -> usize {
    let mut bytes = [0; 8];
    scene.rng.fill(&mut bytes);
    (u64::from_le_bytes(bytes) % below as u64) as usize
}

fn name_in(scene: &Scene, file: &Path) -> String {
    file.strip_prefix(scene.folder()).unwrap().display().to_string()
}

/// Whether the damage names the file, or the object to which it belongs.
fn names(found: &Verification, file: &str) -> bool {
    let mut named = found.damage.iter().map(|damage| damage.object.as_str());
    named.any(|object| file == object || file.starts_with(&format!("{object}/")))
}

#[tokio::test]
async fn flipped_bit_anywhere_is_found_and_named() {
    let scene = Scene::new(11);
    filled(&scene).await;
    let files = files(&scene.folder());
    let mut hit = BTreeSet::new();
    for _ in 0..TRIALS {
        let file = &files[number(&scene, files.len())];
        let whole = fs::read(file).unwrap();
        let (mut changed, bit) = (whole.clone(), number(&scene, whole.len() * 8));
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(file, &changed).unwrap();
        let (found, name) = (verify(&scene).await, name_in(&scene, file));
        assert!(names(&found, &name), "bit {bit} of {name}: {found:?}");
        fs::write(file, &whole).unwrap();
        // The records that the verification wrote say that something was damaged.
        assert!(verify(&scene).await.is_good(), "{name} is whole again");
        hit.insert(name);
    }
    assert!(hit.len() > files.len() / 2, "{hit:?}");
}

#[tokio::test]
async fn truncated_file_is_found_and_named() {
    let scene = Scene::new(12);
    filled(&scene).await;
    let files = files(&scene.folder());
    for _ in 0..TRIALS {
        let file = &files[number(&scene, files.len())];
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..number(&scene, whole.len())]).unwrap();
        let (found, name) = (verify(&scene).await, name_in(&scene, file));
        assert!(names(&found, &name), "{name}: {found:?}");
        fs::write(file, &whole).unwrap();
    }
}

#[tokio::test]
async fn missing_chunk_and_missing_segment_are_named() {
    let scene = Scene::new(13);
    let manifest = filled(&scene).await;
    let chunk = format!("backups/{}/data/base.tar", manifest.id);
    fs::remove_file(scene.folder().join(&chunk).join("00000002")).unwrap();
    let segment = format!("wal/{SYSTEM}/00000001/{}", segment_name(1, 5, 16 * MIB));
    fs::remove_file(scene.folder().join(&segment)).unwrap();
    let found = verify(&scene).await;
    let named: Vec<(&str, Option<u64>)> =
        found.damage.iter().map(|damage| (damage.object.as_str(), damage.chunk)).collect();
    // The first backup needs the log after it as well, to restore to a later time.
    assert_eq!(named, [(segment.as_str(), None), (chunk.as_str(), Some(2)), (segment.as_str(), None)]);
    assert!(found.backups.iter().all(|backup| !backup.good));
}

#[tokio::test]
async fn objects_do_not_stand_in_for_each_other() {
    let scene = Scene::new(14);
    let store = scene.store();
    let objects = [("a.tar", scene.bytes(3 * CHUNK)), ("b.tar", scene.bytes(3 * CHUNK))];
    let first = back_up(&store, &objects, (1, 2)).await;
    let second = back_up(&store, &objects, (3, 4)).await;
    let path = |id: &str, rest: &str| scene.folder().join("backups").join(id).join(rest);
    let (one, other) = (first.id.as_str(), second.id.as_str());
    let wal = |name: u64| {
        scene.folder().join(format!("wal/{SYSTEM}/00000001")).join(segment_name(1, name, 16 * MIB))
    };
    let cases: Vec<(&str, PathBuf, PathBuf)> = vec![
        ("a chunk of another backup", path(one, "data/a.tar/00000001"), path(other, "data/a.tar/00000001")),
        ("a chunk of another object", path(one, "data/b.tar/00000001"), path(one, "data/a.tar/00000001")),
        ("another chunk", path(one, "data/a.tar/00000000"), path(one, "data/a.tar/00000001")),
        ("a manifest of another backup", path(one, "manifest.json"), path(other, "manifest.json")),
        ("a record of another backup", path(one, "verified.json"), path(other, "verified.json")),
        ("another segment", wal(1), wal(2)),
    ];
    assert!(verify(&scene).await.is_good());
    for (case, from, to) in cases {
        let whole = fs::read(&to).unwrap();
        fs::copy(&from, &to).unwrap();
        let (found, name) = (verify(&scene).await, name_in(&scene, &to));
        // A record is written anew by the verification that finds it.
        assert!(names(&found, &name), "{case}: {found:?}");
        fs::write(&to, whole).unwrap();
    }
    assert!(verify(&scene).await.is_good());
    fs::write(path(one, "data/a.tar/00000003"), "more").unwrap();
    assert!(names(&verify(&scene).await, &format!("backups/{one}/data/a.tar/00000003")));
}

#[tokio::test]
async fn damage_is_not_read_as_if_it_were_whole() {
    let scene = Scene::new(15);
    let manifest = filled(&scene).await;
    let chunk = scene.folder().join(format!("backups/{}/data/base.tar/00000004", manifest.id));
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[5] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    let refused = read(&scene.store(), &manifest.id, "base.tar").await;
    assert!(matches!(refused, Err(StoreError::Corrupt { chunk: Some(4), .. })), "{refused:?}");
    assert!(!verify(&scene).await.is_good());
    let listed = scene.store().list().await.unwrap();
    let state = &listed.iter().find(|listed| listed.id == manifest.id).unwrap().state;
    assert!(state.verified.as_ref().is_some_and(|record| !record.good));
}

/// A writer is dropped after any number of pieces, which is what a kill leaves, with whatever was being written.
#[tokio::test]
async fn writer_that_dies_never_leaves_a_good_backup() {
    let scene = Scene::new(16);
    let whole = back_up(&scene.store(), &[("base.tar", scene.bytes(4 * CHUNK))], (1, 2)).await;
    for _ in 0..TRIALS {
        let store = scene.store();
        let writer = store.begin_backup(start()).await.unwrap();
        let mut object = writer.object("base.tar").unwrap();
        let content = scene.bytes(6 * CHUNK);
        let pieces = number(&scene, 40);
        for piece in content.chunks(10_000).take(pieces) {
            object.write(piece).await.unwrap();
        }
        if number(&scene, 2) == 0 {
            object.finish().await.unwrap();
            let _second = writer.object("more.tar").unwrap();
            assert!(writer.commit(finish(40, 80)).await.is_err());
        }
    }
    let listed = scene.store().list().await.unwrap();
    let good: Vec<_> = listed.iter().filter(|one| matches!(one.condition, Condition::Good(_))).collect();
    assert_eq!(good.iter().map(|one| &one.id).collect::<Vec<_>>(), [&whole.id]);
    assert!(listed.len() > TRIALS / 2);
    assert!(verify(&scene).await.is_good(), "what was never finished is no damage");
}

#[tokio::test]
async fn missing_piece_of_the_segment_that_is_being_received_is_named() {
    let scene = Scene::new(19);
    filled(&scene).await;
    let wal = scene.store().open_wal(SYSTEM, 1).await.unwrap();
    let segment = segment_name(1, 7, 16 * MIB);
    let piece = |from: u32| format!("{segment}.{from:08X}.partial");
    for from in [0, 10, 20] {
        wal.put(&piece(from), "0123456789".into()).await.unwrap();
    }
    assert!(verify(&scene).await.is_good());
    wal.delete(&piece(10)).await.unwrap();
    let found = verify(&scene).await;
    assert!(
        found.damage[0].object.ends_with(&segment) && found.damage[0].why.contains("byte 10"),
        "{found:?}"
    );
}
