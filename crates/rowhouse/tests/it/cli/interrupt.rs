//! Migrations that a signal ends, and those that a kill ends.

use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_testkit::until_true;
use tokio_postgres::Client;

use super::migrate::Team;
use super::round_trip::databases;
use crate::program::{Run, free_port};

const SLEEPS: &str = "select pg_sleep(600);";
/// In the project's database, or in one beside it.
const SLEEPING: &str =
    "exists (select from pg_stat_activity where query like 'select pg_sleep(600)%' and state = 'active'
    and (datname = current_database() or datname like format('rowhouse\\_scratch\\_%s\\_%%',
      (select oid from pg_database where datname = current_database()))))";
const WAITING: &str = "exists (select from pg_locks where not granted and relation = 'public.a'::regclass)";
const NOBODY_WAITS: &str = "not exists (select from pg_locks where relation = 'public.a'::regclass)";

fn start(team: &Team, args: &[&str]) -> Child {
    team.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child, signal: Signal) -> Run {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

async fn is_there(client: &Client, object: &str) -> bool {
    client.query_one("select to_regclass($1) is not null", &[&object]).await.unwrap().get(0)
}

#[tokio::test]
async fn interrupted_up_and_down_end_with_130_and_say_what_they_have_done() {
    let team = Team::start().await;
    let client = team.db.superuser().await;
    team.write("20260101000000_a.sql", "create table public.a ();");
    team.write("20260101000000_a.down.sql", &format!("drop table public.a; {SLEEPS}"));
    team.write("20260102000000_b.sql", &format!("create table public.b (); {SLEEPS}"));
    let up = start(&team, &["migrate", "up", "--no-wait", "--yes"]);
    until_true(&client, SLEEPING).await;
    let run = end(up, Signal::SIGINT);
    assert_eq!(run.code, 130, "{run:?}");
    for part in
        ["interrupted", "20260101000000_a.sql; pending: 20260102000000_b.sql", "applied in this run: "]
    {
        assert!(run.err.contains(part), "{part}: {run:?}");
    }
    assert!(is_there(&client, "public.a").await && !is_there(&client, "public.b").await);
    let down = start(&team, &["migrate", "down", "--no-wait", "--yes"]);
    until_true(&client, SLEEPING).await;
    let run = end(down, Signal::SIGTERM);
    assert!(run.code == 130 && run.err.contains("this run has changed nothing"), "{run:?}");
    assert!(is_there(&client, "public.a").await);
}

#[tokio::test]
async fn interrupted_round_trip_and_trace_end_with_130_and_leave_no_database() {
    let team = Team::start().await;
    let client = team.db.superuser().await;
    team.write("20260101000000_a.sql", SLEEPS);
    for command in ["roundtrip", "trace"] {
        let running = start(&team, &["migrate", command, "--json"]);
        until_true(&client, SLEEPING).await;
        let run = end(running, Signal::SIGINT);
        assert!(run.code == 130 && run.err.contains("the project's database is as it was"), "{run:?}");
        assert!(run.document()["error"].is_array(), "{run:?}");
        assert_eq!(databases(&team).await, 0, "{command}");
    }
}

/// Kills a command in the middle of its file, whose statement PostgreSQL runs on.
async fn kill_while_it_sleeps(team: &Team, client: &Client, command: &str) {
    let running = start(team, &["migrate", command, "--json"]);
    until_true(client, SLEEPING).await;
    end(running, Signal::SIGKILL);
}

/// What `doctor` says of databases that were left.
fn left_behind(team: &Team) -> String {
    let notes = team.run(&["doctor", "--json"]).document()["notes"].clone();
    let notes = notes.as_array().unwrap().iter().filter_map(|note| note.as_str());
    notes.filter(|note| note.contains("rowhouse_scratch_")).collect()
}

#[tokio::test]
async fn database_of_a_killed_command_is_named_by_doctor_and_dropped_once_nobody_is_connected() {
    let team = Team::start().await;
    let client = team.db.superuser().await;
    for (killed, next) in [("roundtrip", "up"), ("trace", "roundtrip")] {
        team.write("20260101000000_a.sql", SLEEPS);
        kill_while_it_sleeps(&team, &client, killed).await;
        assert_eq!(
            (databases(&team).await, left_behind(&team).as_str()),
            (1, ""),
            "{killed} is still at work in it"
        );
        let end_all = "select pg_terminate_backend(pid, 60000) from pg_stat_activity where query like 'select pg_sleep(600)%' \
            and datname like 'rowhouse\\_scratch\\_%' and pid <> pg_backend_pid()";
        client.batch_execute(end_all).await.unwrap();
        until_true(&client, &format!("not {SLEEPING}")).await;
        let told = left_behind(&team);
        assert!(told.contains("drop database") && told.contains("rowhouse up"), "{killed}: {told}");
        assert_eq!(databases(&team).await, 1, "doctor changes nothing");
        team.write(
            "20260101000000_a.sql",
            "-- rowhouse: reversible no\ncreate table if not exists public.a ();",
        );
        if next == "up" {
            let up = start(&team, &["up", "--yes", "--port", &free_port().to_string()]);
            until_true(&client, "not exists (select from pg_database where datname like format('rowhouse\\_scratch\\_%s\\_%%', \
                (select oid from pg_database where datname = current_database())))").await;
            let up = end(up, Signal::SIGTERM);
            assert!(up.err.contains("which a process had left"), "{up:?}");
        } else {
            assert_eq!(team.run(&["migrate", next]).code, 0);
        }
        assert_eq!((databases(&team).await, left_behind(&team).as_str()), (0, ""), "{next}");
    }
}

/// Kills `migrate up` while the statement of `sql` on the table `a` waits for a lock; then lets go of the lock.
async fn kill_in_the_middle(team: &Team, name: &str, sql: &str) {
    team.write(name, sql);
    let (holder, observer) = (team.db.superuser().await, team.db.superuser().await);
    holder.batch_execute("begin; lock table public.a").await.unwrap();
    let up = start(team, &["migrate", "up", "--no-wait", "--yes"]);
    until_true(&observer, WAITING).await;
    let killed = end(up, Signal::SIGKILL);
    assert!(killed.out.is_empty(), "{killed:?}");
    holder.batch_execute("rollback").await.unwrap();
    until_true(&observer, NOBODY_WAITS).await;
}

#[tokio::test]
async fn killed_up_is_finished_by_the_next_one_or_named() {
    let team = Team::start().await;
    team.write("20260101000000_a.sql", "create table public.a ();");
    let up = || team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert_eq!(up().code, 0);
    let patient = "-- rowhouse: lock-budget 600s\n";
    let whole = format!("{patient}create table public.b (); alter table public.a add column n int;");
    kill_in_the_middle(&team, "20260102000000_whole.sql", &whole).await;
    assert!(!is_there(&team.db.superuser().await, "public.b").await, "it was one transaction");
    let next = up();
    assert_eq!(next.code, 0, "{next:?}");

    let repeatable = "-- rowhouse: no-transaction\ncreate table if not exists public.c ();\n\
        alter table public.a add column if not exists m int;";
    kill_in_the_middle(&team, "20260103000000_repeatable.sql", repeatable).await;
    assert!(is_there(&team.db.superuser().await, "public.c").await, "its first statement stays");
    let next = up();
    assert_eq!(next.code, 0, "{next:?}");
    assert_eq!(team.run(&["migrate", "verify"]).code, 0);

    let single =
        "-- rowhouse: no-transaction\ncreate table public.d ();\nalter table public.a add column k int;";
    kill_in_the_middle(&team, "20260104000000_single.sql", single).await;
    let next = up();
    for part in ["20260104000000_single.sql failed at line 2", "Make them repeatable"] {
        assert!(next.code == 2 && next.err.contains(part), "{part}: {next:?}");
    }
}
