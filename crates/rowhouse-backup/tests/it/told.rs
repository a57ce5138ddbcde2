//! What the commands say of a store: of keys, points, labels, and of nothing at all.

use rowhouse_backup::{Deed, Lsn, Point, Store, StoreError};
use rowhouse_kernel::Clock;

use crate::command::run;
use crate::scene::{CHUNK, SYSTEM, Scene, back_up, read};

#[tokio::test]
async fn list_has_labels_times_and_points() {
    let scene = Scene::new(71);
    let project = scene.project().root().to_owned();
    let none = run(&project, &["list", "--points"]).await.unwrap();
    assert!(none.text.contains("no points in") && none.text.contains("backup point NAME"), "{}", none.text);
    back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 2)).await;
    let (system_id, at) = (SYSTEM.to_owned(), scene.clock.now());
    let point = Point { name: "before-import".to_owned(), system_id, timeline: 1, lsn: Lsn(99), at };
    scene.store().put_point(&point).await.unwrap();
    let listed = run(&project, &["list"]).await.unwrap();
    let stored_at = listed.json["backups"][0]["covers"]["stored_at"].as_str().unwrap();
    let second = &stored_at[..19];
    assert!(listed.text.contains("nightly") && listed.text.contains(second), "{}", listed.text);
    let points = run(&project, &["list", "--points"]).await.unwrap();
    assert_eq!(points.json["points"][0]["name"], "before-import");
    assert!(points.text.contains("before-import") && points.text.contains("0/63"), "{}", points.text);
}

#[tokio::test]
async fn point_that_is_not_there_leads_to_the_list_of_points() {
    let scene = Scene::new(77);
    back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 2)).await;
    let into = scene.project().root().join("into");
    let restore = ["restore", "--name", "nope", "--into", into.to_str().unwrap()];
    let why = run(scene.project().root(), &restore).await.unwrap_err();
    assert!(why.contains("nope") && why.contains("`rowhouse backup list --points`"), "{why}");
}

#[tokio::test]
async fn options_that_only_writing_has_a_use_for_need_it() {
    let scene = Scene::new(78);
    for option in ["--overwrite", "--delete-newer", "--members"] {
        let alone = run(scene.project().root(), &["restore", "--tenant", "acme", option, "--yes"]).await;
        assert!(alone.is_err_and(|why| why.contains("--apply")), "{option}");
    }
}

#[tokio::test]
async fn drill_that_fails_does_not_make_the_last_good_one_forgotten() {
    let scene = Scene::new(79);
    let made = back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 2)).await;
    let drilled = async |good| {
        scene.store().record(&made.id, Deed::Drilled, good, serde_json::json!({})).await.unwrap();
        scene.store().state(&made.id).await.unwrap().drilled.unwrap()
    };
    let good = drilled(true).await;
    scene.clock.advance(time::Duration::days(1));
    for failed in [drilled(false).await, drilled(false).await] {
        assert_eq!((failed.good, failed.last_good_at), (false, Some(good.at)));
    }
}

#[tokio::test]
async fn key_that_opens_only_some_backups_verifies_those_and_names_the_others() {
    let mut scene = Scene::new(72);
    let escrow = std::mem::take(&mut scene.settings.escrow);
    let older = back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 2)).await;
    scene.settings.escrow = escrow;
    scene.clock.advance(time::Duration::days(1));
    let newer = back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (3, 4)).await;
    let project = scene.project().root().to_owned();
    let key = project.join("escrow.key");
    std::fs::write(&key, scene.escrow.expose().as_bytes()).unwrap();
    let key = key.to_str().unwrap();

    let verified = run(&project, &["verify", "--key", key]).await.unwrap();
    assert_eq!((verified.yes, &verified.json["backups"][0]["id"]), (false, &newer.id.as_str().into()));
    let closed = verified.json["closed"].as_array().unwrap();
    assert_eq!(closed.len(), 1, "{}", verified.text);
    assert!(closed[0]["object"].as_str().unwrap().contains(older.id.as_str()), "{}", verified.text);
    let listed = run(&project, &["list", "--key", key]).await.unwrap();
    let servers = &older.recipients()[0];
    assert!(listed.text.contains(servers.as_str()), "{}", listed.text);
}

#[tokio::test]
async fn empty_store_has_nothing_that_could_be_good() {
    let scene = Scene::new(73);
    let verified = run(scene.project().root(), &["verify"]).await.unwrap();
    assert!(!verified.yes && verified.text.starts_with("nothing to verify in"), "{}", verified.text);
}

#[tokio::test]
async fn lost_server_key_is_not_replaced_while_the_store_has_something() {
    let scene = Scene::new(74);
    let open =
        async || Store::open(&scene.settings, &scene.project(), scene.clock.clone(), scene.rng.clone()).await;
    let made = back_up(&open().await.unwrap(), &[("base.tar", b"x".to_vec())], (1, 1)).await;
    let key = scene.project().private("keys/backup.key");
    let aside = key.with_extension("copy");
    std::fs::rename(&key, &aside).unwrap();
    let refused = open().await;
    assert!(
        matches!(&refused, Err(StoreError::Invalid(why)) if why.contains("backup.server_key")),
        "{refused:?}"
    );
    assert!(!key.exists());
    std::fs::rename(&aside, &key).unwrap();
    assert!(open().await.unwrap().open_backup(&made.id).await.is_ok());
}

#[tokio::test]
async fn object_that_was_blown_up_is_not_read_into_memory() {
    let scene = Scene::new(75);
    let made = back_up(&scene.store(), &[("base.tar", scene.bytes(CHUNK))], (1, 1)).await;
    let folder = scene.folder();
    let chunk = folder.join(format!("backups/{}/data/base.tar/00000000", made.id));
    // Sparse: it takes no space, and would not fit into memory.
    std::fs::File::options().write(true).open(&chunk).unwrap().set_len(1 << 42).unwrap();
    let refused = read(&scene.store(), &made.id, "base.tar").await;
    assert!(
        matches!(&refused, Err(StoreError::Corrupt { why, .. }) if why.contains("larger")),
        "{refused:?}"
    );
    let manifest = folder.join(format!("backups/{}/manifest.json", made.id));
    std::fs::File::options().write(true).open(manifest).unwrap().set_len(1 << 42).unwrap();
    assert_eq!(scene.store().list().await.unwrap()[0].condition.name(), "damaged");
}

#[tokio::test]
async fn what_is_written_has_times_to_the_millisecond() {
    let scene = Scene::new(76);
    scene.clock.advance(time::Duration::nanoseconds(123_456_789));
    let made = back_up(&scene.store(), &[("base.tar", b"x".to_vec())], (1, 1)).await;
    assert_eq!(made.started_at.nanosecond(), 123_000_000);
}
