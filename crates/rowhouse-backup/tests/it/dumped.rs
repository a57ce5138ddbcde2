//! Logical backups, from a server that lets nobody replicate, into a server that knows none of its roles.

use rowhouse_backup::BackupSettings;
use rowhouse_testkit::{Cluster, TestDatabase, until_true};
use tokio_postgres::Client;

use crate::command::Folder;

/// A password of everything that shells, URLs and libpq's texts treat in their own way.
const PASSWORD: &str = "p@s' s\"w/ö?%:=\\$#";
const PASSWORD_ENCODED: &str = "p%40s%27%20s%22w%2F%C3%B6%3F%25%3A%3D%5C%24%23";

const SCHEMA: &str = "
    create table public.notes (id bigint generated always as identity primary key, text text not null);
    select tenancy.protect('public.notes');
    grant select, insert on public.notes to authenticated;
    create sequence public.invoices start 100;
    create table public.large (n int primary key, filler text)";

const ROWS: &str = "
    insert into tenancy.organizations (id, name, slug) values ('00000000-0000-7000-8000-00000000000a', 'o', 'o');
    insert into tenancy.tenants (id, organization_id, name, slug) values
      ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-00000000000a', 'a', 'a'),
      ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-00000000000a', 'b', 'b');
    insert into public.notes (tenant_id, text) values ('00000000-0000-7000-8000-000000000001', 'of a'),
      ('00000000-0000-7000-8000-000000000002', 'of b'), ('00000000-0000-7000-8000-000000000002', E'tab\\t\\\\ quote\\' end');
    select setval('public.invoices', 4711);
    insert into public.large select n, repeat(md5(n::text), 20) from generate_series(1, 5000) n";

/// What has to be the same on both sides.
const SAME: [&str; 6] = [
    "select string_agg(n.text || n.tenant_id, ',' order by id) from notes n",
    "select last_value::text from invoices",
    "select sum(hashtext(filler)::bigint)::text from large",
    "select string_agg(format('%s.%s %s %s %s %s', schemaname, tablename, policyname, roles, qual, with_check), ','
       order by schemaname, tablename, policyname) from pg_policies",
    "select string_agg(format('%s %s %s', relname, relrowsecurity, relforcerowsecurity), ',' order by relname) from pg_class where relnamespace = 'public'::regnamespace",
    "select string_agg(format('%s %s %s %s', rolname, rolcanlogin, rolinherit, rolbypassrls), ',' order by rolname)
       from pg_roles where rolname in ('anon', 'authenticated', 'authenticator', 'rowhouse', 'service_role', 'rowhouse_owner')",
];

/// Whatever the session's search path is.
async fn require_same(before: &Client, after: &Client) {
    for client in [before, after] {
        client.batch_execute("set search_path to public").await.unwrap();
    }
    for sql in SAME {
        assert_eq!(text(after, sql).await, text(before, sql).await, "{sql}");
    }
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A database of the platform with rows of two tenants, and a login that reads all of it.
async fn filled() -> (TestDatabase, String, String) {
    let database = TestDatabase::create().await;
    database.migrate(SCHEMA).await;
    let admin = database.superuser().await;
    admin.batch_execute(ROWS).await.unwrap();
    let dumper = format!("dumper of {}", database.name);
    let sql = format!(
        "create role \"{dumper}\" login bypassrls password '{}' in role rowhouse",
        PASSWORD.replace('\'', "''")
    );
    admin.batch_execute(&sql).await.unwrap();
    let control = database.urls.control.expose().to_owned();
    let place = control.split_once('@').unwrap().1;
    let dumper = format!("postgres://{}:{PASSWORD_ENCODED}@{place}", dumper.replace(' ', "%20"));
    (database, control, dumper)
}

#[tokio::test]
async fn dump_restores_into_an_empty_database_and_into_a_project() {
    let (database, control, dumper) = filled().await;
    let closed = Folder::on(&control, "");
    let why = closed.refused(&["create"]).await;
    assert!(why.contains("alter role \"rowhouse\" bypassrls"), "{why}");

    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    std::fs::write(folder.path().join("migrations/20260101000000_a.sql"), "select 1;").unwrap();
    let made = folder.done(&["create", "--label", "first"]).await;
    assert_eq!(made.json["kind"], "logical", "{}", made.text);
    assert!(made.text.contains("alter role \"rowhouse\" replication"), "the reason: {}", made.text);
    let id = made.json["id"].as_str().unwrap();
    let verified = folder.done(&["verify"]).await;
    assert_eq!(verified.json["backups"][0]["good"], true);
    let before = database.superuser().await;

    let other = Cluster::start();
    let admin = connect(&other.url("postgres", "postgres")).await;
    admin.batch_execute("create database \"an 'odd' = name\"").await.unwrap();
    let target = other.url("postgres", "an%20%27odd%27%20%3D%20name");
    folder.done(&["restore", id, "--database", &target]).await;
    let after = connect(&target).await;
    require_same(&before, &after).await;
    only_own_rows(&after).await;
    let why = folder.refused(&["restore", id, "--database", &target]).await;
    assert!(why.contains("is not empty"), "{why}");
    let why = folder.refused(&["restore", id, "--database", &target, "--at", "2026-01-01T00:00:00Z"]).await;
    assert!(why.contains("its own moment only"), "{why}");

    let into = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
    folder.done(&["restore", "--into", into.path().to_str().unwrap()]).await;
    assert!(into.path().join("migrations/20260101000000_a.sql").is_file());
    let (paths, account) = rowhouse_db::embedded::prepare_folder(into.path()).unwrap();
    let mut server = rowhouse_db::embedded::Temporary::start(&paths, &account, &[]).unwrap();
    let restored = server.connect("postgres").await.unwrap();
    require_same(&before, &restored).await;
    only_own_rows(&restored).await;
    let logins =
        "select string_agg(rolname, ',' order by rolname) from pg_authid where rolpassword is not null";
    assert_eq!(text(&restored, logins).await, "authenticator,authenticator_service,postgres,rowhouse");
    drop(restored);
    server.stop().await;
}

/// Policies and grants are in force.
async fn only_own_rows(client: &Client) {
    let claims = r#"{"role": "authenticated", "tenant_id": "00000000-0000-7000-8000-000000000002"}"#;
    let begin = format!(
        "begin; set local role authenticated; select set_config('request.jwt.claims', '{claims}', true)"
    );
    client.batch_execute(&begin).await.unwrap();
    assert_eq!(text(client, "select count(*)::text from notes").await, "2");
    let foreign = "insert into notes (tenant_id, text) values ('00000000-0000-7000-8000-000000000001', 'x')";
    assert!(client.batch_execute(foreign).await.is_err());
    client.batch_execute("rollback").await.unwrap();
}

/// A search path that is stored as it was given.
const HOSTILE: &str = "public,x;create/**/role/**/pwned/**/superuser";

#[tokio::test]
async fn roles_that_exist_stay_as_they_are_and_no_setting_becomes_a_statement() {
    let (database, control, dumper) = filled().await;
    let [made, old, boss] = ["made", "old", "boss"].map(|name| format!("{name} of {}", database.name));
    let sql = format!(
        "create role \"{made}\"; create role \"{old}\"; create role \"{boss}\";
         grant select on public.large to \"{made}\", \"{old}\", \"{boss}\";
         grant \"{boss}\" to \"{made}\", \"{old}\"; grant pg_execute_server_program to \"{made}\";
         alter role \"{old}\" set app.key = 'hidden';
         select set_config('search_path', '{HOSTILE}', false); alter role \"{made}\" set search_path from current"
    );
    database.superuser().await.batch_execute(&sql).await.unwrap();
    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    folder.done(&["create"]).await;

    let other = Cluster::start();
    let target = other.url("postgres", "postgres");
    let after = connect(&target).await;
    let there = format!("create role \"{old}\"; create role \"{boss}\" superuser");
    after.batch_execute(&there).await.unwrap();
    let restored = folder.done(&["restore", "--database", &target]).await;
    let memberships = format!(
        "select count(*)::text from pg_auth_members where member in ('\"{old}\"'::regrole, '\"{made}\"'::regrole)"
    );
    assert_eq!(text(&after, &memberships).await, "0");
    let settings = format!(
        "select coalesce(string_agg(format('%s %s', setrole::regrole, setconfig), ','), '') from pg_db_role_setting
         where setrole in ('\"{old}\"'::regrole, '\"{made}\"'::regrole)"
    );
    let settings = text(&after, &settings).await;
    assert!(settings.contains("x;create") && !settings.contains("hidden"), "{settings}");
    assert_eq!(text(&after, "select count(*)::text from pg_roles where rolname = 'pwned'").await, "0");
    let left_out = restored.json["left_out"].to_string();
    for what in [
        format!("membership of {old} in {boss}"),
        format!("membership of {made} in {boss}"),
        format!("membership of {made} in pg_execute_server_program"),
        format!("setting app.key of {old}"),
    ] {
        assert!(left_out.contains(&what), "{what}: {left_out}");
    }
    assert!(!left_out.contains("hidden") && !restored.text.contains("hidden"), "{left_out}");
}

/// A check that takes what it can from whoever loads a row.
const TRAP: &str = "
    create function public.evil(t text) returns boolean language sql return true;
    create table public.trap (t text check (public.evil(t)));
    insert into public.trap values ('x');
    create or replace function public.evil(t text) returns boolean language plpgsql as $$ begin
      begin execute 'reset session authorization; reset role'; exception when others then null; end;
      if (select rolsuper from pg_roles where rolname = current_user) then execute 'create role pwned superuser'; end if;
      return true;
    end $$;
    -- a check that names its table's row type is added, and validated, once the rows are there
    create table public.trap_row (t text);
    create function public.evil_row(r public.trap_row) returns boolean language sql return true;
    alter table public.trap_row add check (public.evil_row(trap_row));
    insert into public.trap_row values ('x');
    create or replace function public.evil_row(r public.trap_row) returns boolean language sql as 'select public.evil(r.t)'";

#[tokio::test]
async fn functions_that_rows_call_are_not_run_by_the_superuser_who_restores() {
    let (database, control, dumper) = filled().await;
    database.migrate(TRAP).await;
    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    folder.done(&["create"]).await;
    let other = Cluster::start();
    let target = other.url("postgres", "postgres");
    folder.done(&["restore", "--database", &target]).await;
    let after = connect(&target).await;
    assert_eq!(text(&after, "select t from public.trap").await, "x");
    let separate =
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'public.trap_row'::regclass";
    assert!(text(&after, separate).await.contains("evil_row"));
    let roles =
        "select count(*)::text from pg_roles where rolname = 'pwned' or rolname like 'rowhouse_restore%'";
    assert_eq!(text(&after, roles).await, "0");
}

#[tokio::test]
async fn copy_of_a_database_that_is_older_than_the_mark_stays_a_copy_when_it_is_migrated() {
    let (database, control, dumper) = filled().await;
    let older =
        "drop table rowhouse.backup_state; delete from rowhouse.migrations where name like '%backup_state%'";
    database.superuser().await.batch_execute(older).await.unwrap();
    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    let made = folder.done(&["create"]).await;
    let id = made.json["id"].as_str().unwrap();

    let other = Cluster::start();
    let target = other.url("postgres", "postgres");
    folder.done(&["restore", "--database", &target]).await;
    let after = connect(&target).await;
    let migrations = rowhouse_testkit::platform_migrations();
    rowhouse_db::migrate::apply_platform(&after, &migrations).await.unwrap();
    assert_eq!(text(&after, "select copy_of from rowhouse.backup_state").await, id);
    assert_eq!(
        text(&after, "select count(*)::text from pg_db_role_setting where setconfig::text like '%copy_of%'")
            .await,
        "0"
    );

    // As while rows arrive: the table says nothing yet.
    let arriving = "update rowhouse.backup_state set copy_of = null; alter database postgres set rowhouse.copy_of = 'b1'";
    after.batch_execute(arriving).await.unwrap();
    let why =
        rowhouse_backup::standing(&after, false, &BackupSettings::default()).await.unwrap().unwrap_err();
    assert!(why.contains("holds a part of backup b1"), "{why}");
    let why = Folder::on(&target, "").refused(&["activate", "--yes"]).await;
    assert!(why.contains("backup restore b1 --database URL --yes"), "{why}");
    let why = Folder::on(&target, "method = \"logical\"").refused(&["create"]).await;
    assert!(why.contains("a part of backup b1"), "a part is no backup: {why}");
    let started = rowhouse_backup::require_whole(&after).await;
    assert!(started.is_err_and(|error| error.to_string().contains("a part of backup b1")));
    let ended =
        "alter database postgres reset rowhouse.copy_of; update rowhouse.backup_state set copy_of = 'b1'";
    after.batch_execute(ended).await.unwrap();
    rowhouse_backup::require_whole(&after).await.unwrap();
    Folder::on(&target, "").done(&["activate", "--yes"]).await;
    assert!(rowhouse_backup::standing(&after, false, &BackupSettings::default()).await.unwrap().is_ok());
}

#[tokio::test]
async fn dump_of_another_database_is_refused_also_by_migrations() {
    let (_database, control, dumper) = filled().await;
    let other = TestDatabase::create().await;
    let (server, _) = dumper.rsplit_once('/').unwrap();
    let elsewhere = format!("{server}/{}", other.name);
    let folder = Folder::on(
        &control,
        &format!("method = \"logical\"\ndump_url = \"{elsewhere}\"\nbefore_migration = \"on\""),
    );
    let why = folder.refused(&["create"]).await;
    assert!(why.contains("not the project's") && why.contains(&other.name), "{why}");
    assert!(!why.contains(PASSWORD_ENCODED), "{why}");
    let why = folder.before_migration(&control).await.unwrap_err();
    assert!(why.contains("not the project's") && why.contains("nothing was applied"), "{why}");
}

/// Rows whose check waits for a lock that the test has.
const HELD: &str = "
    create function public.held(t text) returns boolean language sql as 'select true';
    create table public.gate (t text check (public.held(t)));
    insert into public.gate values ('x');
    create or replace function public.held(t text) returns boolean language plpgsql as $$ begin
      perform pg_advisory_xact_lock(4711);
      return true;
    end $$";

/// Killed while it loads rows, as far as a task can be: nothing of it is cleaned up in the database.
async fn kill_midway(folder: &Folder, target: &str, held: &Client) {
    held.batch_execute("select pg_advisory_lock(4711)").await.unwrap();
    let arguments = ["restore", "--database", target];
    let restoring = folder.run(&arguments);
    let waits = "exists (select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted)";
    tokio::select! {
        done = restoring => panic!("the restore has ended: {:?}", done.map(|outcome| outcome.text)),
        () = until_true(held, waits) => {}
    }
}

#[tokio::test]
async fn restore_that_was_killed_is_named_and_replaced_by_the_next() {
    let (database, control, dumper) = filled().await;
    database.migrate(HELD).await;
    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    let made = folder.done(&["create"]).await;
    let id = made.json["id"].as_str().unwrap();
    let other = Cluster::start();
    let admin = connect(&other.url("postgres", "postgres")).await;
    admin
        .batch_execute("create database \"half done\" locale 'C' template template0 connection limit 50")
        .await
        .unwrap();
    let target = other.url("postgres", "half%20done");
    let held = connect(&target).await;
    kill_midway(&folder, &target, &held).await;
    let logins = "select count(*)::text from pg_roles where rolname like 'rowhouse_restore%'";
    assert_eq!(text(&admin, logins).await, "1");

    let alone = "(select count(*) from pg_locks where locktype = 'advisory' and objid <> 4711) = 0";
    until_true(&held, alone).await;
    let why = rowhouse_backup::standing(&held, false, &BackupSettings::default()).await.unwrap().unwrap_err();
    assert!(why.contains(&format!("a part of backup {id}")), "{why}");
    let why = folder.refused(&["restore", id, "--database", &target]).await;
    assert!(why.contains("\"half done\"") && why.contains(&format!("a part of backup {id}")), "{why}");
    assert_eq!(text(&admin, logins).await, "0", "its login is gone");
    let why = folder.refused(&["restore", id, "--database", &target, "--yes"]).await;
    assert!(why.contains("is being accessed by other users"), "{why}");
    drop(held);
    let gone = "not exists (select from pg_stat_activity where datname = 'half done')";
    until_true(&admin, gone).await;
    folder.done(&["restore", id, "--database", &target, "--yes"]).await;
    let after = connect(&target).await;
    require_same(&database.superuser().await, &after).await;
    let shape = "select t || datcollate || datconnlimit from public.gate, pg_database where datname = current_database()";
    assert_eq!(text(&after, shape).await, "xC50");
    let why = folder.refused(&["restore", id, "--database", &target, "--yes"]).await;
    assert!(why.contains("is not empty"), "a whole one is not replaced: {why}");
}

#[tokio::test]
async fn what_a_restore_has_not_made_is_never_dropped() {
    let (_database, control, dumper) = filled().await;
    let folder = Folder::on(&control, &format!("dump_url = \"{dumper}\""));
    let made = folder.done(&["create"]).await;
    let id = made.json["id"].as_str().unwrap();
    let other = Cluster::start();
    let admin = connect(&other.url("postgres", "postgres")).await;
    for sql in [
        "create role keeper login password 'test'",
        "create database kept",
        "create database begun owner keeper",
        "alter database begun set rowhouse.copy_of = 'b1'",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    let kept = other.url("postgres", "kept");
    let function = "create function public.precious() returns int language sql as 'select 1'";
    connect(&kept).await.batch_execute(function).await.unwrap();
    let why = folder.refused(&["restore", id, "--database", &kept, "--yes"]).await;
    assert!(why.contains("not empty: it has the function public.precious()"), "{why}");

    connect(&other.url("postgres", "begun")).await.batch_execute("create schema a_part").await.unwrap();
    let target = other.url("keeper", "begun");
    let why = folder.refused(&["restore", id, "--database", &target, "--yes"]).await;
    assert!(why.contains("may not create databases") && why.contains("create database begun"), "{why}");
    let there = "select count(*)::text from pg_database where datname in ('kept', 'begun')";
    assert_eq!(text(&admin, there).await, "2");
}

#[tokio::test]
async fn archive_that_pg_restore_does_not_know_is_damage() {
    use rowhouse_backup::{BackupKind, Finish, Start, Store};
    let scene = crate::scene::Scene::new(61);
    let store: Store = scene.store();
    let start = Start { kind: BackupKind::Logical, wal_segment_bytes: 0, ..crate::scene::start() };
    let writer = store.begin_backup(start).await.unwrap();
    let mut object = writer.object("database.dump").unwrap();
    object.write(b"PGDM is not how an archive begins").await.unwrap();
    object.finish().await.unwrap();
    let details = serde_json::json!({ "pg_dump": 15, "database": "app" });
    writer.commit(Finish { details, ..Finish::default() }).await.unwrap();
    let found = store.verify(None, &mut |_| {}).await.unwrap();
    assert!(!found.is_good() && found.damage[0].why.contains("pg_restore"), "{found:?}");
}

async fn connect(url: &str) -> Client {
    rowhouse_db::connect(&rowhouse_kernel::Secret::new(url.to_owned())).await.unwrap()
}
