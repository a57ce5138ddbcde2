//! Physical backups of clusters that are not as `up` makes them.

use std::path::Path;

use rowhouse_db::embedded::{Account, Temporary, prepare_folder};
use rowhouse_db::migrate::Migration;
use rowhouse_kernel::Secret;
use rowhouse_testkit::Cluster;
use tokio_postgres::Client;

use crate::command::Folder;

async fn connect(url: &str) -> Client {
    rowhouse_db::connect(&Secret::new(url.to_owned())).await.unwrap()
}

/// A tablespace beside the data, and a standby that nobody waits for in vain: it is gone.
async fn unusual(cluster: &Cluster) -> Client {
    let client = connect(&cluster.url("postgres", "postgres")).await;
    let space = cluster.folder().join("space");
    Account::choose().unwrap().own_folder(&space).unwrap();
    client.batch_execute(&format!("create tablespace space location '{}'", space.display())).await.unwrap();
    let rows = "create table public.notes (n int) tablespace space; insert into public.notes select generate_series(1, 1000)";
    client.batch_execute(rows).await.unwrap();
    client.batch_execute("alter system set synchronous_standby_names = 'gone'").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    client
}

#[tokio::test]
async fn tablespaces_are_restored_and_standbys_that_are_gone_hold_nothing_up() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres", "postgres");
    let client = unusual(&cluster).await;
    let folder = Folder::on(&url, "");
    let made = folder.done(&["create"]).await;
    assert_eq!(made.json["kind"], "physical", "{}", made.text);
    let into = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
    folder.done(&["restore", "--into", into.path().to_str().unwrap()]).await;
    let (paths, account) = prepare_folder(into.path()).unwrap();
    let mut server = Temporary::start(&paths, &account, &[]).unwrap();
    let restored = server.connect("postgres").await.unwrap();
    let sql = "select count(*), (select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space') from public.notes";
    let row = restored.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1000);
    let location: &str = row.get(1);
    assert!(Path::new(location).starts_with(&paths.home), "{location} is the original's");
    drop(restored);
    server.stop().await;

    // The store has the log of that cluster, and takes no other's.
    let (other, store) = (Cluster::start(), folder.path().join(".rowhouse/backups"));
    let stranger =
        Folder::on(&other.url("postgres", "postgres"), &format!("store = \"{}\"", store.display()));
    std::fs::create_dir_all(stranger.path().join(".rowhouse/keys")).unwrap();
    std::fs::copy(
        folder.path().join(".rowhouse/keys/backup.key"),
        stranger.path().join(".rowhouse/keys/backup.key"),
    )
    .unwrap();
    let why = stranger.refused(&["create"]).await;
    assert!(why.contains("has the backups of another cluster"), "{why}");
    drop(client);
}

/// Records it as the runner of migrations does.
async fn apply(client: &Client, name: &str, text: &str) {
    let checksum = Migration::new(name, text).checksum();
    let sql = "insert into rowhouse.migrations values ('project', $1, $2)";
    client.execute(sql, &[&name, &checksum]).await.unwrap();
}

#[tokio::test]
async fn files_of_migrations_that_were_applied_after_the_backup_come_along() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres", "postgres");
    let (client, folder) = (connect(&url).await, Folder::on(&url, ""));
    let ledger =
        "create schema rowhouse; create table rowhouse.migrations (kind text, name text, checksum text)";
    client.batch_execute(ledger).await.unwrap();
    folder.done(&["create"]).await;
    let [here, later, lost] = ["1_here", "2_later", "3_lost"].map(|name| format!("2026112810000{name}.sql"));
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    for name in [&here, &later, &lost] {
        std::fs::write(folder.path().join("migrations").join(name), "select 1;\n").unwrap();
    }
    apply(&client, &here, "select 1;\n").await;
    apply(&client, &later, "select 1;\n").await;
    apply(&client, &lost, "what it was\n").await;
    folder.done(&["point", "deployed"]).await;
    folder.done(&["create"]).await;
    std::fs::remove_file(folder.path().join("migrations").join(&later)).unwrap();

    let into = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
    let restored =
        folder.done(&["restore", "--name", "deployed", "--into", into.path().to_str().unwrap()]).await;
    let mut found: Vec<_> = std::fs::read_dir(into.path().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, [here, later], "{}", restored.text);
    assert_eq!(restored.json["missing_migrations"], serde_json::json!([lost]));
    assert!(restored.text.contains(&format!("migrations/{lost} was applied after")), "{}", restored.text);
    assert!(restored.text.contains("rowhouse backup activate --yes --dir "), "{}", restored.text);
    drop(client);
}

#[tokio::test]
async fn server_without_write_ahead_log_for_backups_is_dumped_with_the_remedy() {
    let cluster = Cluster::start_with(|_| "-c wal_level=minimal -c max_wal_senders=0".to_owned());
    let folder = Folder::on(&cluster.url("postgres", "postgres"), "");
    let made = folder.done(&["create"]).await;
    assert_eq!(made.json["kind"], "logical", "{}", made.text);
    assert!(made.text.contains("wal_level is minimal: set it to replica"), "{}", made.text);
    let forced = Folder::on(&cluster.url("postgres", "postgres"), "method = \"physical\"");
    let why = forced.refused(&["create"]).await;
    assert!(why.contains("set wal_level to replica"), "{why}");
}
