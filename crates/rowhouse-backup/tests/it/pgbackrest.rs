//! The adapter with the real pgBackRest (`need_pgbackrest` in scripts/install.sh) and a cluster that archives into its repository.

use std::path::{Path, PathBuf};

use rowhouse_db::embedded::{Account, Temporary, prepare_folder};
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Cluster, until_true};

use crate::command::Folder;

/// A cluster as an operator has set it up, up to the stanza.
fn cluster() -> (Cluster, PathBuf) {
    let mut config = PathBuf::new();
    let cluster = Cluster::start_with(|folder| {
        config = folder.join("pgbackrest.conf");
        std::fs::write(&config, configuration(folder)).unwrap();
        std::fs::write(folder.join("data/pg_hba.conf"), "local all all trust\n").unwrap();
        let push = format!("pgbackrest --config={} --stanza=main archive-push %p", config.display());
        format!("-c archive_mode=on -c archive_command='{push}'")
    });
    (cluster, config)
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[global]\nrepo1-path={folder}/repo\nlog-path={folder}/log.d\nlock-path={folder}/lock\nspool-path={folder}/spool\n\
         repo1-retention-full=2\nlog-level-file=off\nstart-fast=y\ncompress-type=gz\ncompress-level=1\n\
         [main]\npg1-path={folder}/data\npg1-port=5432\npg1-socket-path={folder}\n"
    )
}

fn create_stanza(config: &Path) {
    let mut command = Account::choose().unwrap().command(Path::new("pgbackrest"));
    let output = command
        .arg(format!("--config={}", config.display()))
        .args(["--stanza=main", "stanza-create"])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn pgbackrest_makes_lists_verifies_and_restores_backups() {
    let (cluster, config) = cluster();
    let url = cluster.url("postgres", "postgres");
    let adapter =
        format!("adapter = \"pgbackrest\"\nstanza = \"main\"\npgbackrest_config = \"{}\"", config.display());
    let folder = Folder::on(&url, &adapter);
    let why = folder.refused(&["list"]).await;
    assert!(why.contains("stanza-create"), "{why}");
    create_stanza(&config);
    assert_eq!(folder.done(&["list"]).await.json["backups"], serde_json::json!([]));

    let made = folder.done(&["create", "--label", "my label="]).await;
    let listed = folder.done(&["list"]).await;
    let first = &listed.json["backups"][0];
    assert_eq!(
        (&first["id"], &first["label"], &first["type"]),
        (&made.json["id"], &"my label=".into(), &"full".into())
    );
    assert!(folder.done(&["verify"]).await.json["good"].as_bool().unwrap());
    folder.done(&["prune"]).await;

    let client = rowhouse_db::connect(&Secret::new(url)).await.unwrap();
    let rows = "create table public.notes (n int); insert into public.notes select generate_series(1, 7)";
    client.batch_execute(rows).await.unwrap();
    let segment = client.query_one("select pg_walfile_name(pg_switch_wal())", &[]).await.unwrap();
    let segment: &str = segment.get(0);
    let is_there = format!("exists (select from pg_stat_archiver where last_archived_wal >= '{segment}')");
    until_true(&client, &is_there).await;
    let into = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
    folder.done(&["restore", "--into", into.path().to_str().unwrap()]).await;
    assert!(into.path().join("rowhouse.toml").is_file());
    let (paths, account) = prepare_folder(into.path()).unwrap();
    let mut server = Temporary::start(&paths, &account, &[]).unwrap();
    let restored = server.connect("postgres").await.unwrap();
    let row = restored.query_one("select count(*) from public.notes", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 7);
    drop(restored);
    server.stop().await;
    let kept = std::fs::read_to_string(paths.data.join("postgresql.auto.conf")).unwrap();
    assert!(kept.contains("archive_mode = 'off'"), "{kept}");

    damage(&cluster.folder().join("repo/backup/main"));
    let verified = folder.run(&["verify"]).await.unwrap();
    assert!(!verified.yes && verified.text.contains("checksum invalid: 1"), "{}", verified.text);
}

/// Changes the middle of some file of a backup.
fn damage(repository: &Path) {
    let files = crate::scene::files(repository);
    let file = files.iter().find(|file| file.to_string_lossy().contains("pg_data/global/")).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(file, bytes).unwrap();
}
