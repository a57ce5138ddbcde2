//! Values of requests never become SQL text. Every word of every golden request is replaced by a marker in turn; the
//! marker may then occur in parameters, in quoted identifiers and after a cast, and nowhere else in the statement.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Method};
use rowhouse_db::catalog::Snapshot;
use rowhouse_rest::explain;

use crate::case::{Case, parse};
use crate::golden::{files, library, sample, settings};

/// A plain word, and one that would break out of a literal and an identifier that are not quoted; in a URL as
/// they travel. No statement of ours contains either by itself.
const MARKERS: [&str; 3] = ["zqmark", "zq%27%22%3B--mark", "7391846"];

/// Counts of the requests with a marker.
#[derive(Debug, Default)]
struct Tally {
    planned: usize,
    bound: usize,
    leaks: BTreeSet<String>,
}

/// The parts of a URL or body that a client chooses: runs of letters, digits and underscores.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (byte.is_ascii_alphanumeric() || byte == b'_', start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The statement without its quoted identifiers and string literals; unclosed ones are left to be seen.
fn bare(sql: &str) -> String {
    let mut rest = sql;
    let mut text = String::new();
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = rest.as_bytes()[at];
        let mut end = at + 1;
        let bytes = rest.as_bytes();
        while end < bytes.len() && (bytes[end] != quote || bytes.get(end + 1) == Some(&quote)) {
            end += if bytes[end] == quote { 2 } else { 1 };
        }
        text.push_str(&rest[..at]);
        let is_literal = quote == b'\'';
        text.push_str(if is_literal { "LITERAL" } else { "NAME" });
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    text + rest
}

/// String literals of a statement, as written.
fn literals(sql: &str) -> Vec<&str> {
    sql.split('\'').skip(1).step_by(2).collect()
}

/// Finds `marker` in `sql` where it must not occur.
fn leak(sql: &str, marker: &str) -> Option<String> {
    let bare = bare(sql);
    let at = bare.find(marker)?;
    // The name of a type, in `cast(… as name)`, is limited by the grammar instead.
    let before = bare[..at].trim_end();
    let is_type = before.ends_with(" as") || before.ends_with("::");
    (!is_type || marker.contains('\'')).then(|| bare[at.saturating_sub(40)..].chars().take(80).collect())
}

fn decoded(marker: &str) -> String {
    percent_encoding::percent_decode_str(marker).decode_utf8().unwrap().into_owned()
}

/// Plans one altered request and checks its statement.
fn examine(case: &Case, target: &str, body: &str, marker: &str, snapshot: &Snapshot, tally: &mut Tally) {
    let method: Method = case.method.parse().unwrap();
    let headers: HeaderMap = case.header_map();
    let Ok(explained) = explain(&sample(&method, target, &headers, body), snapshot, &settings(case)) else {
        return;
    };
    tally.planned += 1;
    let marker = decoded(marker);
    let holds = |value: &Option<Bytes>| {
        value.as_ref().is_some_and(|value| String::from_utf8_lossy(value).contains(&marker))
    };
    tally.bound += usize::from(explained.query.params.iter().any(holds));
    let sql = &explained.query.sql;
    let literal = literals(sql).into_iter().find(|literal| literal.contains(&marker)).map(str::to_owned);
    if let Some(text) = leak(sql, &marker).or(literal) {
        tally.leaks.insert(format!("{} {target} {body}\n  …{text}", case.method));
    }
}

fn with(text: &str, (from, to): (usize, usize), marker: &str) -> String {
    format!("{}{marker}{}", &text[..from], &text[to..])
}

#[tokio::test]
async fn values_of_a_request_never_become_sql_text() {
    let snapshot = library().await.cache.current().unwrap();
    let mut tally = Tally::default();
    for case in files().iter().flat_map(|(_, text)| parse(text)) {
        let target = case.encoded();
        for marker in MARKERS {
            for word in words(&target) {
                examine(&case, &with(&target, word, marker), &case.body, marker, &snapshot, &mut tally);
            }
            for word in words(&case.body) {
                examine(&case, &target, &with(&case.body, word, marker), marker, &snapshot, &mut tally);
            }
        }
    }
    let leaks: Vec<String> = tally.leaks.into_iter().collect();
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n"));
    assert!(tally.planned > 1500 && tally.bound > 800, "{} planned, {} bound", tally.planned, tally.bound);
}

#[tokio::test]
async fn list_of_any_length_is_one_parameter_and_one_statement() {
    let snapshot = library().await.cache.current().unwrap();
    let query = |target: &str| {
        let case = Case::default();
        explain(&sample(&Method::GET, target, &HeaderMap::new(), ""), &snapshot, &settings(&case))
            .unwrap()
            .query
    };
    let [short, long] = ["/books?id=in.(1)", "/books?id=in.(1,2,3,4,5,6,7,8)"].map(query);
    assert_eq!(short.sql, long.sql);
    assert_eq!(short.params.len(), long.params.len());
}

#[tokio::test]
async fn body_is_one_parameter_as_it_came() {
    let snapshot = library().await.cache.current().unwrap();
    let body = r#"[{"id": 1,  "name": "x"}, {"name": "y", "id": 2}]"#;
    let headers = HeaderMap::new();
    let request = sample(&Method::POST, "/genres", &headers, body);
    let query = explain(&request, &snapshot, &settings(&Case::default())).unwrap().query;
    let bodies = query.params.iter().flatten().filter(|value| ***value == *body.as_bytes()).count();
    assert_eq!(bodies, 1, "{query:?}");
}

#[test]
fn marker_in_the_text_of_a_statement_is_found() {
    assert_eq!(leak(r#"select "zqmark" where "a""zqmark" = $1::zqmark"#, "zqmark"), None);
    assert!(leak(r#"select "a" where "b" = zqmark"#, "zqmark").is_some());
    assert!(leak(r#"select "a" limit 7391846"#, "7391846").is_some());
    assert!(leak(r#"select "zq'";--mark""#, "zq'\";--mark").is_none(), "broken quotes show as bare text");
    assert!(leak(r#"select zq'";--mark"#, "mark").is_none());
    assert_eq!(literals("select 'zqmark' = $1"), ["zqmark"]);
}
