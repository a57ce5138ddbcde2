//! Tests wait through `rowhouse_testkit::until` and its siblings, which have a bound and say what did not come: no loop
//! that waits without one, and no polls inside the database. Leaves `sleep` in Rust to `code`.

use super::Finding;
use super::code::{is_test_path, test_regions};
use super::mask::{body, closing, line_of, literals, mask, words};
use super::tree::Tree;

/// A sleep of so many seconds in SQL is a statement that gets cancelled; nobody waits for its end.
const LONGEST_WAIT: u32 = 5;

/// Files in which a loop or a shorter sleep is no poll, and why. One that has become needless is a finding.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("crates/rowhouse-db/tests/it/shared_send.rs", "the length of a statement is what is tested"),
    ("crates/rowhouse-http/src/server/tests.rs", "servers, which talk until their client leaves"),
    ("crates/rowhouse-jobs/tests/it/chaos/load.rs", "load, which lasts until it is told to stop"),
    ("crates/rowhouse-rest/tests/it/moving.rs", "a campaign, with as many changes or minutes as it is given"),
    ("crates/rowhouse/tests/it/connection.rs", "looks that last as long as the load beside them"),
    ("crates/rowhouse/tests/it/fault/load.rs", "load, which lasts until it is told to stop"),
    ("crates/rowhouse/tests/it/limit.rs", "the length of a statement is what is limited"),
];

const UNBOUNDED: &str =
    "this may wait for ever: say `rowhouse_testkit::until`, or `while let` over what ends by itself";
const POLL: &str = "`pg_sleep`: wait with `rowhouse_testkit::until_true`, hold a statement up with a lock";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.ending(".rs").filter(|(path, _)| path.starts_with("crates/"));
    let rust = rust.map(|(path, text)| (path, check_rust(path, text)));
    let sql = tree.ending(".sql").filter(|(path, _)| is_test_path(path));
    let sql = sql.map(|(path, text)| (path, sleeps(path, text)));
    rust.chain(sql).flat_map(|(path, findings)| except(path, findings)).collect()
}

fn except(path: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let is_excepted = EXCEPTIONS.iter().any(|(excepted, _)| *excepted == path);
    match (is_excepted, findings.is_empty()) {
        (false, _) => findings,
        (true, false) => Vec::new(),
        (true, true) => vec![Finding::new(path, 1, "needs no exception in xtask/src/tidy/wait.rs any more")],
    }
}

fn check_rust(path: &str, text: &str) -> Vec<Finding> {
    let masked = mask(text);
    let regions = test_regions(text, &masked);
    let is_test = |at: usize| is_test_path(path) || regions.iter().any(|region| region.contains(&at));
    let waiting = loops(&masked).filter(|at| is_test(*at));
    let mut findings: Vec<Finding> =
        waiting.map(|at| Finding::new(path, line_of(text, at), UNBOUNDED)).collect();
    if is_test_path(path) || path.starts_with("crates/rowhouse-testkit/") {
        findings.extend(sleeps(path, &literals(text)));
    }
    findings
}

/// Loops that wait for something without a bound in their condition.
fn loops(masked: &str) -> impl Iterator<Item = usize> + '_ {
    ["loop", "while"].into_iter().flat_map(move |word| {
        words(masked, word).filter_map(move |at| {
            let head = masked.get(at + word.len()..)?;
            let open = body(masked, at)?;
            let block = masked.get(open..closing(masked, open))?;
            let condition = masked.get(at + word.len()..open)?;
            let is_loop = word == "while" || head.trim_start().starts_with('{');
            let has_end = condition.trim_start().starts_with("let ") || condition.contains(".elapsed()");
            (is_loop && !has_end && waits(condition, block)).then_some(at)
        })
    })
}

/// Whether a round of the loop lets time pass, or does nothing but ask again.
fn waits(condition: &str, block: &str) -> bool {
    let is_empty = block.trim_matches(['{', '}', ' ', '\n']).is_empty();
    is_empty || [condition, block].iter().any(|text| text.contains(".await") || text.contains("yield_now"))
}

/// Sleeps in SQL that somebody waits for.
fn sleeps(path: &str, sql: &str) -> Vec<Finding> {
    let calls =
        sql.match_indices("pg_sleep(").filter_map(|(at, call)| Some((at, sql.get(at + call.len()..)?)));
    let short = calls.filter(|(_, rest)| {
        let seconds = rest.split(')').next().and_then(|text| text.parse::<u32>().ok());
        seconds.is_none_or(|seconds| seconds < LONGEST_WAIT)
    });
    short.map(|(at, _)| Finding::new(path, line_of(sql, at), POLL)).collect()
}
