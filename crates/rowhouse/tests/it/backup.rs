//! Backups over the command line, against the cluster of a running `up`.

use std::process::Stdio;
use std::time::Duration;

use rowhouse_kernel::{Rng, SeededRng};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::program::{Folder, Run, Up, free_port, processes_in, program};

/// Restores to a time, under load; more by `BACKUP_ROUNDS`.
const TARGETS: u32 = 2;
/// Backups that are killed.
const KILLS: u32 = 4;
const SEED: u64 = 20_261_128;

fn rounds(few: u32) -> u32 {
    std::env::var("BACKUP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A project with a running cluster and two tables.
async fn project() -> (Folder, Up, Client) {
    let folder = Folder::with_settings("[backup]\nmin_free_bytes = 0\n");
    let up = Up::start(&folder, free_port());
    let client = connect(&up.text("db_url")).await;
    client
        .batch_execute("create table marks (n int primary key); create table load (n bigserial, filler text)")
        .await
        .unwrap();
    (folder, up, client)
}

fn create(folder: &Folder) -> Run {
    folder.run(&["backup", "create", "--json"])
}

/// What a restored cluster holds, read in a server that runs while this looks.
async fn marks_in(folder: &Folder) -> i64 {
    let up = Up::start(folder, free_port());
    let client = connect(&up.text("db_url")).await;
    client
        .query_one("select count(*) from marks where n <= (select max(n) from marks)", &[])
        .await
        .unwrap()
        .get(0)
}

/// A folder inside of a fresh one that passes the database's account.
fn restored(folder: &Folder, target: &[&str]) -> (Folder, Run) {
    let into = Folder::empty();
    let path = into.path().to_str().unwrap().to_owned();
    let run = folder.run(&[&["backup", "restore", "--json", "--into", &path], target].concat());
    (into, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_to_a_time_under_load_has_exactly_what_was_committed_by_then() {
    let (folder, up, client) = project().await;
    let made = create(&folder);
    assert_eq!(made.code, 0, "{made:?}");
    let loaded = connect(&up.text("db_url")).await;
    let load = tokio::spawn(async move {
        let sql = "insert into load (filler) select repeat('x', 500) from generate_series(1, 50)";
        while let Ok(_inserted) = loaded.execute(sql, &[]).await {}
    });
    let mut times = Vec::new();
    for n in 1..=i32::try_from(rounds(TARGETS)).unwrap() {
        client.execute("insert into marks values ($1)", &[&n]).await.unwrap();
        let sql = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
        times.push((n, text(&client, sql).await));
        client
            .execute("insert into load (filler) select 'x' from generate_series(1, 5000)", &[])
            .await
            .unwrap();
    }
    // On a machine with nothing to spare the load writes faster than the log can be brought into the store.
    load.abort();
    for (n, time) in times {
        let (into, run) = restored(&folder, &["--at", &time]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(marks_in(&into).await, i64::from(n), "--at {time}: {run:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_backup_never_lists_as_good() {
    let (folder, up, client) = project().await;
    client
        .execute("insert into load (filler) select md5(g::text) from generate_series(1, 200000) g", &[])
        .await
        .unwrap();
    let rng = SeededRng::new(SEED);
    for round in 0..rounds(KILLS) {
        let mut byte = [0; 2];
        rng.fill(&mut byte);
        let pause = Duration::from_millis(u64::from(u16::from_le_bytes(byte)) % 1500);
        let mut child = program(&["backup", "create", "--dir", folder.path().to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ended = tokio::time::timeout(pause, std::future::pending::<()>()).await;
        assert!(ended.is_err());
        let was_over = child.try_wait().unwrap().is_some_and(|status| status.success());
        let _gone_already = child.kill();
        child.wait().unwrap();
        let listed = folder.run(&["backup", "list", "--json"]).document();
        let good = |listed: &Value| -> Vec<String> {
            let backups = listed["backups"].as_array().unwrap().iter();
            backups.filter(|b| b["status"] == "good").map(|b| b["id"].as_str().unwrap().to_owned()).collect()
        };
        eprintln!("round {round}: killed after {pause:?}, over: {was_over}, good: {}", good(&listed).len());
        // One that lists as good was finished: it restores. To look at the newest is enough, as each was once the newest.
        if let Some(id) = good(&listed).first().filter(|_| was_over || round + 1 == rounds(KILLS)) {
            let (_into, run) = restored(&folder, &[id]);
            assert_eq!(run.code, 0, "{run:?}");
        }
    }
    let made = create(&folder);
    assert_eq!(made.code, 0, "{made:?}");
    let (_into, run) = restored(&folder, &[made.document()["id"].as_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    drop(up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn point_and_latest_are_restored_and_what_cannot_be_is_refused() {
    let (folder, up, client) = project().await;
    assert_eq!(folder.run(&["backup", "point", "too-early"]).code, 2);
    assert_eq!(create(&folder).code, 0);
    client.execute("insert into marks values (1)", &[]).await.unwrap();
    let point = folder.run(&["backup", "point", "one", "--json"]);
    assert_eq!(point.code, 0, "{point:?}");
    client.execute("insert into marks values (2)", &[]).await.unwrap();

    let (into, run) = restored(&folder, &["--name", "one"]);
    assert_eq!((run.code, marks_in(&into).await), (0, 1), "{run:?}");
    let (into, run) = restored(&folder, &[]);
    assert_eq!((run.code, marks_in(&into).await), (0, 2), "{run:?}");

    let refusals: [(&[&str], &str); 4] = [
        (&["--lsn", "FFF/0"], "the newest that can be restored is --at"),
        (&["--at", "2026-01-01T00:00:00Z"], "is before the end of backup"),
        (&["--name", "none"], "none"),
        (&["20200101T000000Z-000000"], "is not in the store"),
    ];
    for (target, why) in refusals {
        let (into, run) = restored(&folder, target);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(why), "{run:?}");
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0, "{target:?} left something");
    }
    let used = folder.path().to_str().unwrap();
    let run = folder.run(&["backup", "restore", "--into", used]);
    assert!(run.code == 2 && run.err.contains("is not empty"), "{run:?}");
    let run = folder.run(&["backup", "restore", "--in-place", "--yes"]);
    assert!(run.code == 2 && run.err.contains("is running already"), "{run:?}");
    let data = up.text("pg_data_dir");
    drop(up);
    assert!(processes_in(&data).is_empty());
    let run = folder.run(&["backup", "restore", "--in-place", "--yes", "--name", "one"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(marks_in(&folder).await, 1);
}

/// The example project with an escrow key, which is returned with a stranger's.
fn escrowed() -> (Folder, std::path::PathBuf, std::path::PathBuf) {
    let folder = Folder::todos();
    let rng = SeededRng::new(SEED);
    let [escrow, stranger] = ["escrow.key", "stranger.key"].map(|name| {
        let identity = rowhouse_backup::Identity::generate(&*rng).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, identity.expose().as_bytes()).unwrap();
        (identity, file)
    });
    let toml = folder.path().join("rowhouse.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    let recipient = escrow.0.recipient();
    let text = format!("{text}\n[backup]\nmin_free_bytes = 0\nescrow = [\"{recipient}\"]\n");
    std::fs::write(&toml, text).unwrap();
    (folder, escrow.1, stranger.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_opens_with_the_escrow_key_and_leaves_a_signed_report() {
    let (folder, escrow, stranger) = escrowed();
    let up = Up::start(&folder, free_port());
    assert_eq!(folder.run(&["drill", "run"]).code, 2, "there is no backup yet");
    assert_eq!(create(&folder).code, 0);
    let client = connect(&up.text("db_url")).await;
    // The receiver of `up` has taken over, and then what it has written itself, the heartbeat, is in the store as well.
    for _ in 0..2 {
        let here = text(&client, "select pg_current_wal_lsn()::text").await;
        let slot = "select from pg_replication_slots where slot_name = 'rowhouse_backup' and active";
        rowhouse_testkit::until_true(&client, &format!("exists ({slot} and restart_lsn > '{here}')")).await;
    }
    let drill = |key: &std::path::Path| {
        folder.run(&["drill", "run", "--json", "--escrow-key", key.to_str().unwrap()])
    };
    let run = drill(&escrow);
    assert_eq!(run.code, 0, "{run:?}");
    let report = run.document();
    let checks: Vec<(&str, &str)> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
        .collect();
    let names = ["restore", "data_checksums", "migrations", "isolation", "indexes", "tables", "rows"];
    let good = names.map(|name| (name, "good")).into_iter();
    let expected: Vec<_> = good.chain([("smoke", "unavailable"), ("sign_in", "good")]).collect();
    assert_eq!(checks, expected, "{run:?}");
    assert_eq!(report["key"], "escrow");
    assert!(report["rpo_seconds"].as_f64().unwrap() <= 2.0, "{report}");
    let listed = folder.run(&["drill", "list", "--json"]).document();
    assert_eq!(listed["forecast"]["is_above_limit"], false, "{listed}");
    assert_eq!(
        (&listed["drills"][0]["id"], &listed["drills"][0]["is_signed"]),
        (&report["id"], &true.into())
    );

    // What the environment says of databases does not reach the programs that a drill runs.
    let mut elsewhere = program(&["drill", "run", "--json", "--dir", folder.path().to_str().unwrap()]);
    for name in ["URL", "DIRECT_URL", "AUTHENTICATOR_URL", "AUTHENTICATOR_SERVICE_URL"] {
        elsewhere.env(format!("ROWHOUSE_DB__{name}"), "postgres://nobody@127.0.0.1:1/live");
    }
    let run = Run::of(elsewhere.output().unwrap());
    assert_eq!((run.code, &run.document()["rpo_seconds"]), (0, &Value::Null), "{run:?}");

    let file = folder.path().join(format!(".rowhouse/drills/{}.json", report["id"].as_str().unwrap()));
    let changed = std::fs::read_to_string(&file).unwrap().replace("\"is_good\":true", "\"is_good\":false");
    std::fs::write(&file, changed).unwrap();
    assert_eq!(folder.run(&["drill", "list", "--json"]).document()["drills"][1]["is_signed"], false);

    let lock = std::fs::File::open(folder.path().join(".rowhouse/drills.lock")).unwrap();
    lock.try_lock().unwrap();
    let run = drill(&escrow);
    assert!(run.code == 2 && run.err.contains("another process restores"), "{run:?}");
    drop(lock);
    let run = drill(&stranger);
    assert!(run.code == 2 && run.err.contains("does not open with this key"), "{run:?}");
    flip_a_bit(&folder);
    let run = drill(&escrow);
    assert_eq!((run.code, &run.document()["is_good"]), (1, &false.into()), "{run:?}");
    let left = std::fs::read_dir(folder.path().join(".rowhouse/drills")).unwrap().filter_map(Result::ok);
    assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0, "a drill left its folder");
    drop(up);
}

/// In the first chunk of the cluster's files.
fn flip_a_bit(folder: &Folder) {
    let backups = folder.path().join(".rowhouse/backups/backups");
    let backup = std::fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path();
    let chunk = backup.join("data/base.tar/00000000");
    let mut bytes = std::fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&chunk, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_backups_keep_no_log_on_the_server_and_the_store_as_it_is() {
    let (folder, _up, client) = project().await;
    let made = create(&folder);
    assert_eq!(made.code, 0, "{made:?}");
    let slots = "select count(*)::text from pg_replication_slots";
    let asked = folder.run(&["backup", "disable", "--json"]);
    assert_eq!((asked.code, text(&client, slots).await), (2, "1".to_owned()), "{asked:?}");
    for was_on in [true, false] {
        let run = folder.run(&["backup", "disable", "--yes", "--json"]);
        assert_eq!((run.code, &run.document()["was_on"]), (0, &was_on.into()), "{run:?}");
        assert_eq!(text(&client, slots).await, "0");
    }
    let listed = folder.run(&["backup", "list", "--json"]).document();
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1));
}
