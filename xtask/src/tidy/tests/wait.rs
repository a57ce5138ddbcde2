//! Waits in tests: with a bound, and not inside the database.

use super::found;
use crate::tidy::wait;

fn count(path: &str, text: &str) -> usize {
    found(wait::check, &[(path, text)]).len()
}

const TEST: &str = "crates/a/tests/it/b.rs";

#[test]
fn loop_that_waits_without_a_bound_is_caught_in_tests() {
    for unbounded in [
        "while app.get(path).await.status != OK {}",
        "while client.query_one(sql, &[]).await.get(0) == 0 {\n    ticks.tick().await;\n}",
        "loop {\n    if is_done().await { break; }\n}",
        "let found = loop { if let Some(x) = ask().await { break x } };",
        "while !flag.load() { tokio::task::yield_now().await; }",
        "while !flag.load() { std::thread::yield_now(); }",
        "while !flag.load() {\n}",
        "while list(|item| { item.ok }).is_empty() { tick().await }",
    ] {
        assert_eq!(count(TEST, unbounded), 1, "{unbounded}");
        assert_eq!(count("crates/a/src/b.rs", unbounded), 0, "{unbounded}");
        let inline = format!("#[cfg(test)]\nmod tests {{ async fn a() {{ {unbounded} }} }}");
        assert_eq!(count("crates/a/src/b.rs", &inline), 1, "{inline}");
    }
}

#[test]
fn loop_that_ends_by_itself_is_let_be() {
    for bounded in [
        "until(\"ready\", LIMIT, async || ready().await).await;",
        "while let Some(piece) = pieces.next().await { read(piece) }",
        "while began.elapsed() < LIMIT { ask().await }",
        "while at < bytes.len() { at += 1 }",
        "loop { at += 1; if at > 9 { break } }",
        "for _ in 0..9 { ask().await }",
        "// while it waits\nlet text = \"while x.await {}\";",
        "let looped = loop_of(x).await;",
    ] {
        assert_eq!(count(TEST, bounded), 0, "{bounded}");
    }
}

#[test]
fn sleep_in_sql_is_caught_unless_it_is_there_to_be_cancelled() {
    let poll = "\"do $$ begin while not done loop perform pg_sleep(0.01); end loop; end $$\"";
    for path in [TEST, "crates/a/src/b/tests.rs", "crates/rowhouse-testkit/src/b.rs"] {
        assert_eq!(count(path, poll), 1, "{path}");
    }
    for (sql, findings) in
        [("pg_sleep(0.6)", 1), ("pg_sleep(4)", 1), ("pg_sleep(seconds)", 1), ("pg_sleep(30)", 0)]
    {
        assert_eq!(count(TEST, &format!("f(\"select {sql}\")")), findings, "{sql}");
        assert_eq!(count("crates/a/tests/it/b.sql", &format!("select {sql};")), findings, "{sql}");
    }
    assert_eq!(count(TEST, "// pg_sleep(1)\nf(\"pg_catalog.pg_sleep\")"), 0);
    assert_eq!(count("crates/a/src/b.rs", "f(\"select pg_sleep(1)\")"), 0);
}

#[test]
fn exception_that_nothing_needs_any_more_is_caught() {
    let path = "crates/rowhouse/tests/it/limit.rs";
    assert_eq!(count(path, "f(\"select pg_sleep(seconds)\")"), 0);
    assert_eq!(
        found(wait::check, &[(path, "f()")]),
        [format!("{path}:1: needs no exception in xtask/src/tidy/wait.rs any more")]
    );
}
