//! What a restore leaves: a copy that does not act, the rows of one tenant beside the live ones, and no server of a killed program.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_testkit::{LIMIT, until, until_true};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::program::{Folder, Up, free_port, processes_in};

const SETTINGS: &str = "[backup]\nmin_free_bytes = 0\n";

async fn connect(up: &Up) -> Client {
    let (client, connection) = tokio_postgres::connect(&up.text("db_url"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Two tenants with a protected table.
const TENANTS: &str = "
    insert into tenancy.organizations (id, name, slug) values ('00000000-0000-7000-8000-000000000001', 'Org', 'org');
    insert into tenancy.tenants (id, organization_id, name, slug)
      select t.id::uuid, '00000000-0000-7000-8000-000000000001', t.slug, t.slug
      from (values ('00000000-0000-7000-8000-00000000000a', 'acme'), ('00000000-0000-7000-8000-00000000000b', 'other')) t (id, slug);
    set role rowhouse_project;
    create table public.notes (id bigint generated always as identity primary key, note text);
    select tenancy.protect('public.notes');
    insert into public.notes (note, tenant_id) select t.slug || n, t.id from tenancy.tenants t, generate_series(1, 5) n;
    reset role";

async fn notes(client: &Client) -> String {
    let sql = "select string_agg(n::text, ' ' order by n.id) from public.notes n";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn worker(up: &Up) -> Value {
    let health: Value =
        reqwest::get(format!("{}/health", up.text("url"))).await.unwrap().json().await.unwrap();
    health
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenant_comes_back_beside_the_live_data_and_a_copy_rests_until_it_is_activated() {
    let folder = Folder::with_settings(SETTINGS);
    let up = Up::start(&folder, free_port());
    let client = connect(&up).await;
    client.batch_execute(TENANTS).await.unwrap();
    let before = notes(&client).await;
    let made = folder.run(&["backup", "create", "--json"]);
    assert_eq!(made.code, 0, "{made:?}");
    client.batch_execute("delete from public.notes where note like 'acme%'").await.unwrap();
    client.batch_execute("insert into public.notes (note, tenant_id) select 'later', id from tenancy.tenants where slug = 'other'").await.unwrap();
    let after = notes(&client).await;

    let id = made.document()["id"].as_str().unwrap().to_owned();
    let stop = made.document()["stop_lsn"].as_str().unwrap().to_owned();
    let restore = |more: &[&str]| {
        folder
            .run(&[&["backup", "restore", &id, "--lsn", &stop, "--tenant", "acme", "--json"], more].concat())
    };
    let looked = restore(&[]);
    let document = looked.document();
    let table =
        document["tables"].as_array().unwrap().iter().find(|one| one["table"] == "public.notes").unwrap();
    assert_eq!(
        (looked.code, &table["missing"], notes(&client).await),
        (0, &5.into(), after.clone()),
        "{looked:?}"
    );
    assert_eq!(restore(&["--apply"]).code, 2, "without --yes");
    let done = restore(&["--apply", "--yes"]);
    assert_eq!((done.code, &done.document()["applied"]), (0, &true.into()), "{done:?}");
    assert_eq!(notes(&client).await, before + &after[after.rfind(" (").unwrap()..]);
    let left = std::fs::read_dir(folder.path().join(".rowhouse/restores")).unwrap().count();
    assert_eq!(left, 0, "a restore of a tenant left its folder");

    let into = Folder::empty();
    let run = folder.run(&["backup", "restore", "--json", "--into", into.path().to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    let copy = Up::start(&into, free_port());
    let health = worker(&copy).await;
    assert_eq!((&health["services"]["worker"], &health["status"]), (&"unhealthy".into(), &"degraded".into()));
    assert!(health["reasons"]["worker"].is_string(), "to loopback: {health}");
    let diagnosis = into.run(&["doctor"]);
    assert!(diagnosis.code == 1 && diagnosis.out.contains("rowhouse backup activate --yes"), "{diagnosis:?}");
    assert_eq!(into.run(&["backup", "activate"]).code, 2, "without --yes");
    let run = into.run(&["backup", "activate", "--yes", "--json"]);
    assert_eq!((run.code, &run.document()["was_copy_of"]), (0, &id.as_str().into()), "{run:?}");
    until("its worker runs", LIMIT, async || worker(&copy).await["services"]["worker"] == "healthy").await;
    assert_eq!(worker(&up).await["services"]["worker"], "healthy", "the original was never a copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_slot_is_named_until_backups_are_made_again_or_turned_off() {
    let folder = Folder::with_settings(SETTINGS);
    let up = Up::start(&folder, free_port());
    let client = connect(&up).await;
    assert_eq!(folder.run(&["backup", "create"]).code, 0);
    let receives = "exists (select from pg_replication_slots where slot_name = 'rowhouse_backup' and active)";
    until_true(&client, receives).await;
    let drop = "select pg_terminate_backend(active_pid) from pg_replication_slots where active; \
                select pg_drop_replication_slot('rowhouse_backup')";
    until("the slot is dropped", LIMIT, async || client.batch_execute(drop).await.is_ok()).await;
    let reason = async || worker(&up).await["reasons"]["backup"].as_str().unwrap_or_default().to_owned();
    until("health says so", LIMIT, async || {
        reason().await.contains("the replication slot rowhouse_backup is gone")
    })
    .await;
    let diagnosis = folder.run(&["doctor"]);
    assert!(diagnosis.out.contains("FAIL backups"), "{diagnosis:?}");
    assert_eq!(folder.run(&["backup", "create"]).code, 0);
    until("health is content", LIMIT, async || reason().await.is_empty()).await;
    assert_eq!(folder.run(&["backup", "disable", "--yes"]).code, 0);
    assert!(folder.run(&["doctor"]).out.contains("ok   backups"), "it was meant");
}

/// Kills `up`, whose server goes on; returns the server's folder.
fn killed(mut up: Up) -> String {
    let data = up.text("pg_data_dir");
    let pid = i32::try_from(up.state["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    up.wait();
    assert!(!processes_in(&data).is_empty(), "its server goes on");
    data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_of_a_killed_program_is_stopped_by_who_works_in_its_folder_next() {
    let folder = Folder::with_settings(SETTINGS);
    let up = Up::start(&folder, free_port());
    assert_eq!(folder.run(&["backup", "create"]).code, 0);
    let data = killed(up);
    let run = folder.run(&["backup", "restore", "--in-place", "--yes"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(processes_in(&data).is_empty());
    let aside = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("data.before-");
    let home = std::path::Path::new(&data).parent().unwrap().to_owned();
    assert_eq!(std::fs::read_dir(&home).unwrap().filter_map(Result::ok).filter(aside).count(), 1);

    // As after the kill of a restore, whose server works in what is not whole yet.
    let data = killed(Up::start(&folder, free_port()));
    let restoring = home.join("data.restoring");
    std::fs::rename(&data, &restoring).unwrap();
    let run = folder.run(&["up", "--port", &free_port().to_string()]);
    assert!(run.code == 2 && run.err.contains("it was interrupted"), "{run:?}");
    assert!(processes_in(restoring.to_str().unwrap()).is_empty(), "its server was stopped");
    std::fs::rename(&restoring, &data).unwrap();

    let data = killed(Up::start(&folder, free_port()));
    let run = folder.run(&["db", "reset", "--yes"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(processes_in(&data).is_empty());
}
