//! The real program with faulty handlers and malformed input by command line, admin API and SQL. Each gets a clear
//! error, the worker continues, and nothing is lost.

use std::io::{Read, Write};
use std::net::TcpListener;

use reqwest::Client;
use rowhouse_testkit::until_true;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::program::{Folder, Up, free_port};

/// Kinds with faulty handlers, and their jobs' final errors. Of two timeouts that expire together either may be first.
const BAD: [(&str, &[&str]); 5] = [
    ("shop.hang", &["no answer in time", "it took longer than"]),
    ("shop.nonsense", &["invalid HTTP"]),
    ("shop.raise", &["out of paper"]),
    ("shop.sleep", &["it took longer than", "statement timeout"]),
    ("shop.missing", &["jobs may not call the function public.missing"]),
];

const FUNCTIONS: &str =
    "create function public.raise() returns void language plpgsql as $$begin raise 'out of paper'; end$$;
create function public.sleep() returns void language sql as 'select pg_sleep(600)';
create function public.well() returns int language sql as 'select 7';
select jobs.allow_function(f) from unnest(array['public.raise', 'public.sleep', 'public.well']) f;";

/// A service that sends something other than HTTP, or nothing.
fn service(says: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 1024]);
            let _gone = stream.write_all(says);
            // A silent service keeps the connection open.
            held.extend(says.is_empty().then_some(stream));
        }
    });
    port
}

fn settings() -> String {
    let kind = |name: &str, how: String| {
        // Only what never ends is cut short: on a busy machine the others take their time.
        let timeout = if ["hang", "sleep"].contains(&name) { "500ms" } else { "20s" };
        format!("[jobs.kinds.\"shop.{name}\"]\n{how}\nmax_attempts = 1\ntimeout = \"{timeout}\"\n")
    };
    let http = |says| {
        format!(
            "url = \"http://127.0.0.1:{}/\"\nsecret = \"0123456789abcdef0123456789abcdef\"",
            service(says)
        )
    };
    let sql = |name: &str| format!("handler = \"sql\"\nfunction = \"public.{name}\"");
    let mut all = kind("hang", http(b"")) + &kind("nonsense", http(b"SSH-2.0-OpenSSH_9.2\r\n"));
    for name in ["raise", "sleep", "missing", "well"] {
        all += &kind(name, sql(name));
    }
    all
}

fn project() -> Folder {
    let folder = Folder::with_settings(&settings());
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    std::fs::write(folder.path().join("migrations/20260101000000_functions.sql"), FUNCTIONS).unwrap();
    folder
}

async fn post(up: &Up, body: Value) -> (u16, Value) {
    let url = format!("{}/admin/v1/jobs", up.text("url"));
    let answer =
        Client::new().post(url).bearer_auth(up.text("service_role_key")).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn bad_handlers_and_bad_input_are_reported_and_isolated() {
    let folder = project();
    let mut up = Up::start(&folder, free_port());
    let (client, connection) = tokio_postgres::connect(&up.text("db_url"), NoTls).await.unwrap();
    tokio::spawn(connection);
    let worker = "select string_agg(id::text, ' ') from jobs.workers";
    let before: String = client.query_one(worker, &[]).await.unwrap().get(0);
    for (kind, _) in BAD {
        assert_eq!(folder.run(&["jobs", "enqueue", kind]).code, 0, "{kind}");
        assert_eq!(post(&up, json!({ "kind": kind })).await.0, 201, "{kind}");
        client.execute("select jobs.enqueue($1)", &[&kind]).await.unwrap();
    }
    refused_on_every_way(&folder, &up, &client).await;
    client.batch_execute("select jobs.enqueue('shop.well')").await.unwrap();
    until_true(
        &client,
        "(select count(*) from jobs.dead) = 15 and exists (select from jobs.results where result = '7')",
    )
    .await;
    for (kind, says) in BAD {
        let dead = folder.run(&["jobs", "list", "--state", "dead", "--kind", kind, "--json"]).document();
        let dead = dead["jobs"].as_array().unwrap().clone();
        assert_eq!(dead.len(), 3, "{kind}");
        for job in dead {
            let error = job["error"].as_str().unwrap();
            assert!(says.iter().any(|says| error.contains(says)), "{kind}: {job}");
        }
    }
    let left = "select (select count(*) from jobs.ready) + (select count(*) from jobs.leases) + (select count(*) from jobs.scheduled)";
    until_true(&client, &format!("({left}) = 0")).await;
    let after: String = client.query_one(worker, &[]).await.unwrap().get(0);
    assert_eq!(before, after, "the worker lives");
    assert_eq!(folder.run(&["stop"]).code, 0);
    up.wait();
    schedules_of_nothing_are_refused_at_the_start(&folder);
}

/// Unknown kinds, payloads that are too large, too deep or no object.
async fn refused_on_every_way(folder: &Folder, up: &Up, client: &tokio_postgres::Client) {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(110), "]".repeat(110));
    for (args, says) in [
        (["shop.unknown", "{}"], "no handler for jobs of kind \"shop.unknown\""),
        (["shop.well", "[]"], "a job's payload is a JSON object"),
        (["shop.well", &deep], "at most 100 levels deep"),
        (["shop.well", "{"], "EOF"),
    ] {
        let run = folder.run(&["jobs", "enqueue", args[0], "--payload", args[1]]);
        assert!(run.code == 2 && run.err.contains(says), "{run:?}");
    }
    let large = "x".repeat(300_000);
    for (kind, payload, says) in [
        ("shop.unknown", json!({}), "no handler for jobs of kind"),
        ("shop.well", json!({ "x": large }), "at most 262144 bytes"),
        ("shop.well", serde_json::from_str(&deep).unwrap(), "at most 100 levels deep"),
    ] {
        let (status, problem) = post(up, json!({ "kind": kind, "payload": payload })).await;
        assert!(status == 422 && problem["detail"].as_str().unwrap().contains(says), "{problem}");
        let error = client.execute("select jobs.enqueue($1, $2)", &[&kind, &payload]).await.unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains(says), "{error:?}");
    }
    assert_eq!(post(up, json!({ "kind": "shop.well", "payload": [] })).await.0, 400);
}

/// Unknown queues are detected with the database; the program reports them and ends.
fn schedules_of_nothing_are_refused_at_the_start(folder: &Folder) {
    let more = "[jobs.schedules.lost]\ncron = \"@daily\"\nkind = \"shop.nothing\"\nqueue = \"nowhere\"\n";
    std::fs::write(folder.path().join("rowhouse.toml"), settings() + more).unwrap();
    let run = folder.run(&["up", "--port", &free_port().to_string()]);
    assert_eq!(run.code, 2, "{run:?}");
    for line in [
        "rowhouse: jobs.schedules.lost.kind: no handler for jobs of kind \"shop.nothing\"",
        "rowhouse: jobs.schedules.lost.queue: no queue is called \"nowhere\"",
    ] {
        assert_eq!(run.err.lines().filter(|said| *said == line).count(), 1, "{line}: {run:?}");
    }
}
