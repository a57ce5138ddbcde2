//! Each error code of each endpoint has a test: docs/auth-tests.md names it, and endpoints and codes are read from the
//! source, so that one without a case fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source;

const PAGE: &str = include_str!("../../../../docs/auth-tests.md");
/// Where its second table begins.
const CRASHES: &str = "## Crashes";
const ROUTER: &str = include_str!("../../src/route.rs");
const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];
/// Endpoints that nobody is refused at.
const ALWAYS_ANSWERED: [&str; 6] = [
    "GET /health",
    "GET /settings",
    "GET /.well-known/jwks.json",
    "GET /.well-known/openid-configuration",
    "HEAD /verify",
    "HEAD /oauth/end_session",
];
/// Words that stand where codes do.
const NO_CODES: [&str; 7] = [
    "parent_of_active",
    "within_interval",
    "access_denied",
    "invalid_request",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
];
/// Route files whose refusals other files answer, too.
const SHARED: [&str; 2] = ["external", "letter"];

/// A row of the page.
struct Row {
    endpoint: String,
    code: String,
    tests: Vec<String>,
}

/// The rows of the page's first table: endpoint, status and code, tests.
fn rows() -> Vec<Row> {
    let lines = PAGE
        .lines()
        .take_while(|line| *line != CRASHES)
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let (endpoint, code) = (quoted(cells[0]).remove(0), quoted(cells[1]).remove(0));
        Row { endpoint, code, tests: quoted(cells[2]) }
    });
    rows.collect()
}

/// The endpoints of the router, each with the route file that answers it.
fn endpoints() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for route in ROUTER.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        let rest = &route[route.find(path).unwrap() + path.len()..];
        for method in METHODS {
            for (at, call) in rest.match_indices(&format!("{method}(")) {
                let is_word = rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let handler = rest[at + call.len()..].split(')').next().unwrap();
                if let (false, Some((file, _))) = (is_word, handler.split_once("::")) {
                    found.insert(format!("{} {path}", method.to_uppercase()), file.to_owned());
                }
            }
        }
    }
    found
}

/// The codes in a source: words after an arrow, a status, or the name `code`.
fn codes(text: &str) -> BTreeSet<&str> {
    let pieces: Vec<&str> = text.split('"').collect();
    let pairs =
        pieces.windows(2).enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, pair)| (pair[0], pair[1]));
    let is_word = |word: &str| {
        word.contains(|c: char| c == '_' || word == "conflict")
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let stands = |before: &str| {
        let before = before.trim_end();
        let status =
            before.trim_end_matches(',').rsplit(|c: char| !c.is_alphanumeric() && c != ':' && c != '_');
        let status = status.into_iter().next().unwrap_or_default();
        let has_status =
            status.starts_with("S::") || status.starts_with("StatusCode::") || status == "status";
        before.ends_with("=>")
            || before.ends_with("bad(")
            || before.ends_with("code =")
            || before.ends_with(',') && has_status
    };
    let found = pairs.filter(|(before, word)| is_word(word) && stands(before)).map(|(_, word)| word);
    found.filter(|word| !NO_CODES.contains(word)).collect()
}

#[test]
fn every_endpoint_has_its_errors_on_the_page() {
    let rows = rows();
    let listed = |endpoint: &str| rows.iter().any(|row| row.endpoint.split('?').next() == Some(endpoint));
    let all = endpoints();
    assert!(all.len() > 60, "{all:?}");
    let refusing = all.keys().filter(|endpoint| !ALWAYS_ANSWERED.contains(&endpoint.as_str()));
    let missing: Vec<_> = refusing.filter(|endpoint| !listed(endpoint)).collect();
    assert!(missing.is_empty(), "without a row in docs/auth-tests.md: {missing:?}");
    let unknown = rows.iter().map(|row| row.endpoint.split('?').next().unwrap());
    let unknown: BTreeSet<_> =
        unknown.filter(|endpoint| *endpoint != "any" && !all.contains_key(*endpoint)).collect();
    assert!(unknown.is_empty(), "in docs/auth-tests.md, but no endpoints: {unknown:?}");
}

#[test]
fn every_code_in_the_source_has_a_case() {
    let (rows, endpoints) = (rows(), endpoints());
    let files: BTreeSet<&String> = endpoints.values().collect();
    let file_of = |row: &Row| endpoints.get(row.endpoint.split('?').next().unwrap());
    let route = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/route");
    let mut missing = Vec::new();
    let mut count = 0;
    source::each(&route, "rs", &mut |path, text| {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        for code in codes(text) {
            count += 1;
            let is_shared = !files.contains(&file) || SHARED.contains(&&*file);
            let belongs = |row: &Row| is_shared || file_of(row) == Some(&file);
            if !rows.iter().any(|row| row.code == code && belongs(row)) {
                missing.push(format!("{code} of {file}.rs"));
            }
        }
    });
    for code in codes(include_str!("../../src/refusal.rs")) {
        if !rows.iter().any(|row| row.code == code) {
            missing.push(format!("{code} of refusal.rs"));
        }
    }
    assert!(count > 60, "{count}");
    assert!(missing.is_empty(), "without a row in docs/auth-tests.md: {missing:?}");
}

#[test]
fn every_documented_code_has_a_test_that_names_it() {
    let mut tests = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    source::each(&root.join("tests/it"), "rs", &mut |_, text| tests.push_str(text));
    tests.push_str(include_str!("../../src/answer/tests.rs"));
    let mut wrong = Vec::new();
    for Row { endpoint, code, tests: named } in rows() {
        assert!(!named.is_empty(), "{endpoint} {code}");
        for name in named {
            let opening = format!("fn {name}(");
            let bodies = tests.split(&opening).skip(1).map(|rest| rest.split("\n}\n").next().unwrap());
            let bodies: Vec<&str> = bodies.collect();
            match bodies.iter().any(|body| body.contains(&format!("\"{code}\""))) {
                true => {}
                false if bodies.is_empty() => wrong.push(format!("there is no test {name}")),
                false => wrong.push(format!("{name} does not name {code}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_code_of_the_manual_is_one_of_an_endpoint() {
    let known: BTreeSet<String> = rows().into_iter().map(|row| row.code).collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut missing = BTreeSet::new();
    source::each(&docs.join("auth"), "md", &mut |path, text| {
        for line in text.lines() {
            let after_status = line.split('`').zip(line.split('`').skip(1)).step_by(2);
            for (before, code) in after_status {
                let status = before.trim_end().rsplit(' ').next().unwrap_or_default();
                let is_status = status.len() == 3
                    && (status.starts_with('4') || status.starts_with('5'))
                    && status.parse::<u16>().is_ok();
                if is_status && !known.contains(code) {
                    missing.insert(format!("{code} of {}", path.display()));
                }
            }
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_test_of_crashes_exists() {
    let mut tests = String::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["rowhouse/tests/it", "rowhouse-auth/tests/it"] {
        source::each(&crates.join(folder), "rs", &mut |_, text| tests.push_str(text));
    }
    let rows = PAGE.split(CRASHES).nth(1).unwrap().lines().filter_map(|line| line.split('|').nth(2));
    let named: BTreeSet<&str> = rows.flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect();
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(&format!("fn {name}("))).collect();
    assert!(named.len() > 15 && missing.is_empty(), "{missing:?}");
}
