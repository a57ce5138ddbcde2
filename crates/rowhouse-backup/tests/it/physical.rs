//! Physical backups of clusters that are not as `up` makes them.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rowhouse_backup::{Adapter, BackupSettings, standing};
use rowhouse_db::embedded::{Account, Embedded, Temporary, prepare_folder};
use rowhouse_db::migrate::Migration;
use rowhouse_kernel::{Secret, SystemRng};
use rowhouse_module::{Project, Secrets};
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
    // Elsewhere than in the project's database.
    client.batch_execute("create database billing").await.unwrap();
    let billing = connect(&cluster.url("postgres", "billing")).await;
    let subscribed = "create subscription feed connection 'host=127.0.0.1 port=1' publication p with (connect = false, slot_name = 'feed'); \
                      alter subscription feed enable";
    billing.batch_execute(subscribed).await.unwrap();
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
    let done = folder.done(&["restore", "--into", into.path().to_str().unwrap()]).await;
    assert_eq!(done.json["disabled_subscriptions"][0], "billing.feed", "{}", done.text);
    let (paths, account) = prepare_folder(into.path()).unwrap();
    let mut server = Temporary::start(&paths, &account, &[]).unwrap();
    let restored = server.connect("postgres").await.unwrap();
    let sql = "select count(*), (select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space') from public.notes";
    let row = restored.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1000);
    let location: &str = row.get(1);
    assert!(Path::new(location).starts_with(&paths.home), "{location} is the original's");
    let subscribed = "select subenabled or subslotname is not null from pg_subscription";
    assert!(!restored.query_one(subscribed, &[]).await.unwrap().get::<_, bool>(0), "it takes the original's");
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

#[tokio::test]
async fn slot_that_nobody_reads_is_named_and_dropped_also_for_another_adapter() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres", "postgres");
    let client = connect(&url).await;
    Folder::on(&url, "").done(&["create"]).await;
    let own = BackupSettings::default();
    let why = standing(&client, false, &own).await.unwrap().unwrap_err();
    assert!(why.contains("nobody reads the replication slot rowhouse_backup_postgres_"), "{why}");
    let stanza = Some("main".to_owned());
    let adapted = BackupSettings { adapter: Adapter::PgBackRest, stanza, ..BackupSettings::default() };
    let why = standing(&client, false, &adapted).await.unwrap().unwrap_err();
    assert!(why.contains("is left") && why.contains("rowhouse backup disable --yes"), "{why}");

    let folder = Folder::on(&url, "adapter = \"pgbackrest\"\nstanza = \"main\"");
    let why = folder.refused(&["disable"]).await;
    assert!(why.contains("--yes"), "{why}");
    for was_on in [true, false] {
        let disabled = folder.done(&["disable", "--yes"]).await;
        assert_eq!(disabled.json["was_on"], was_on, "{}", disabled.text);
    }
    assert!(standing(&client, false, &adapted).await.unwrap().is_ok());

    // Of a database that has another name now.
    let slot = "select pg_create_physical_replication_slot('rowhouse_backup_gone_00000000', true)";
    client.batch_execute(slot).await.unwrap();
    let why = standing(&client, false, &own).await.unwrap().unwrap_err();
    assert!(why.contains("pg_drop_replication_slot('rowhouse_backup_gone_00000000')"), "{why}");
}

/// What a server elsewhere may be configured to do. It runs already, and has not read this.
const ELSEWHERE: &str = "
archive_mode = on
archive_command = 'false'
synchronous_standby_names = 'gone'
lc_messages = 'xx_XX.UTF-8'
lc_monetary = 'xx_XX.UTF-8'
lc_numeric = 'xx_XX.UTF-8'
lc_time = 'xx_XX.UTF-8'
logging_collector = on
shared_preload_libraries = 'gone_shared'
session_preload_libraries = 'gone_session'
";

/// Names files of the original, by which its copy would be the original or be reached as it.
fn files_of(data: &Path) -> String {
    let data = data.display();
    format!(
        "data_directory = '{data}'\nhba_file = '{data}/pg_hba.conf'\nident_file = '{data}/pg_ident.conf'\n\
         external_pid_file = '{data}/external.pid'\nlog_directory = '{data}/live_log'\n"
    )
}

/// A server with another superuser and a database whose name has to be escaped.
async fn elsewhere(cluster: &Cluster) -> Folder {
    let client = connect(&cluster.url("postgres", "postgres")).await;
    client.batch_execute("create database \"my app%41\"").await.unwrap();
    client.batch_execute("create role helper superuser login password 'test'").await.unwrap();
    drop(client);
    let client = connect(&cluster.url("helper", "my%20app%2541")).await;
    let rows = "alter role postgres rename to boss;
                alter role helper set session_preload_libraries = 'gone_role';
                create table public.notes (n int); insert into public.notes select generate_series(1, 7)";
    client.batch_execute(rows).await.unwrap();
    let data = cluster.folder().join("data");
    let mut settings = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
    settings.write_all((ELSEWHERE.to_owned() + &files_of(&data)).as_bytes()).unwrap();
    std::fs::write(data.join("pg_hba.conf"), "local all all peer\n").unwrap();
    Folder::on(&cluster.url("boss", "my%20app%2541"), "")
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn copy_of_a_cluster_elsewhere_is_served_and_does_not_act_as_the_original() {
    let cluster = Cluster::start();
    let folder = elsewhere(&cluster).await;
    folder.done(&["create"]).await;
    let into = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
    let restored = folder.done(&["restore", "--into", into.path().to_str().unwrap()]).await;
    for told in [
        "my app%41 was renamed",
        "session_preload_libraries = gone_session; shared_preload_libraries = gone_shared",
        "alter role helper reset session_preload_libraries",
    ] {
        assert!(restored.text.contains(told), "{told}: {}", restored.text);
    }

    let project = Project::open(into.path()).unwrap();
    let secrets = Secrets::ensure(&project, &SystemRng).unwrap();
    let server = Embedded::start(into.path(), free_port(), &secrets.postgres, |_| {}).await.unwrap();
    let client = connect(server.endpoint.socket_url("postgres", &secrets.postgres).expose()).await;
    let sql = "select count(*), current_setting('archive_mode'), current_setting('lc_messages'),
                      (select count(*) from pg_database where datname = 'postgres_before')
               from public.notes";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2), row.get(3)), (7_i64, "off", "C", 1_i64));
    client.batch_execute("insert into public.notes values (8)").await.unwrap();
    let sql = "select current_setting('data_directory'), current_setting('hba_file'), current_setting('ident_file'),
                 current_setting('external_pid_file'), current_setting('shared_preload_libraries'),
                 current_setting('session_preload_libraries'), current_setting('logging_collector')";
    let row = client.query_one(sql, &[]).await.unwrap();
    let found: Vec<String> = (0..row.len()).map(|at| row.get(at)).collect();
    let data = &server.paths.data;
    let files = [data.clone(), data.join("pg_hba.conf"), data.join("pg_ident.conf")];
    let files = files.map(|file| file.display().to_string());
    assert_eq!((&found[..3], &found[3..]), (&files[..], &["", "", "", "off"].map(str::to_owned)[..]));
    drop(client);
    let paths = server.paths.clone();
    server.stop().await;

    // A server that takes no sign-in is not waited for.
    std::fs::write(paths.data.join("pg_hba.conf"), "local all all reject\n").unwrap();
    let started = Embedded::start(into.path(), free_port(), &secrets.postgres, |_| {});
    let started = tokio::time::timeout(Duration::from_secs(60), started).await.unwrap();
    let why = started.unwrap_err().to_string();
    assert!(why.contains("pg_hba.conf needs the line"), "{why}");
    std::fs::remove_dir_all(&paths.home).unwrap();
}
