//! Modules of one crate have no cyclic dependencies: siblings of one folder form layers, as crates do. A parent and
//! its own children may use each other. Leaves finding uses to `path`.

mod path;

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::Tree;
use path::Crate;

/// Uses of one module by another, by the crate and the modules' paths.
type Uses = BTreeMap<(String, String), (String, usize)>;

/// An accepted use in a cycle: crate, user, used, reason. The list only gets shorter.
pub(super) type Exception = (&'static str, &'static str, &'static str, &'static str);

const EXCEPTIONS: &[Exception] = &[
    ("rowhouse-auth", "command", "module", "making secrets belongs below both: `keys` makes what is missing"),
    ("rowhouse-auth", "key_store", "state", "the issuer's name belongs to the keys"),
    (
        "rowhouse-auth",
        "flow::refresh",
        "flow::row_token",
        "tokens with rows are the other half of a refresh and have its errors",
    ),
    ("rowhouse-auth", "request", "state", "what a request needs is reached through the state"),
    ("rowhouse-auth", "request", "live", "an error of a request names why somebody is not live"),
    (
        "rowhouse-auth",
        "request",
        "refusal",
        "an error of a request is answered as a refusal, which names requests",
    ),
    ("rowhouse-auth", "store", "key_store", "the error of the key store belongs below both"),
    ("rowhouse-crypto", "jwk", "key", "the name of an algorithm belongs below both"),
    (
        "rowhouse-db",
        "flight::import",
        "flight::plane",
        "the statement that undoes a flight belongs below both",
    ),
    (
        "rowhouse-db",
        "flight::pool",
        "flight::shared_send",
        "a pool hands what waits to one connection, which gives itself back to it",
    ),
    (
        "rowhouse-db",
        "flight::queue",
        "flight::shared_send",
        "what waits is a flight of a shared send, which holds its share",
    ),
    (
        "rowhouse-db",
        "flight::stream",
        "flight::login",
        "`lost`, the error of a broken stream, belongs below both",
    ),
    ("rowhouse-db", "error", "tls", "an error of the driver is read for the reason why TLS failed"),
    (
        "rowhouse-db",
        "liveness",
        "control",
        "asks over a connection of the control plane, which reports to it",
    ),
    ("rowhouse-db", "liveness", "flight", "knows the address of the data plane, which reports to it"),
    ("rowhouse-jobs", "store", "worker", "`Passed` is what the store returns and belongs to it"),
    (
        "rowhouse-mail",
        "capture::mailbox",
        "capture::query",
        "a search filters what the mailbox holds and is called by it",
    ),
    ("rowhouse-mail", "relay", "transport", "`Envelope` and `TransportError` belong below both"),
    ("rowhouse-mail", "submission::database", "submission::listener", "`KeyCheck` belongs to the backend"),
    ("rowhouse-testkit", "program", "crash", "`Victim` belongs to the program that is killed"),
    (
        "rowhouse-testkit",
        "outage::sink",
        "outage::ledger",
        "what a sink takes is entered in the ledger, which compares with the sink",
    ),
    (
        "xtask",
        "bench::jobs::crowd",
        "bench::jobs::scenario",
        "`drain`, `waits` and the percentile belong below both",
    ),
    ("xtask", "bench::jobs::report", "bench::jobs::peer", "`Peers` belongs to the report"),
    ("xtask", "bench::scenario", "bench::script", "a scenario may be a script that is made of a request"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, EXCEPTIONS)
}

pub(super) fn check_with(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    Crate::all(tree).iter().flat_map(|krate| check_crate(krate, exceptions)).collect()
}

fn check_crate(krate: &Crate, exceptions: &[Exception]) -> Vec<Finding> {
    let all = krate.uses();
    let excused: Vec<_> = exceptions.iter().filter(|(name, ..)| *name == krate.name).collect();
    let kept = |skipped: Option<&Exception>| -> Uses {
        let is_excused = |user: &str, used: &str| {
            excused.iter().any(|&one| Some(one) != skipped && (one.1, one.2) == (user, used))
        };
        let kept = all.iter().filter(|((user, used), _)| !is_excused(user, used));
        kept.map(|(pair, place)| (pair.clone(), place.clone())).collect()
    };
    let mut findings = circles(&kept(None));
    let open = findings.len();
    for exception in &excused {
        let needed = all.contains_key(&(exception.1.to_owned(), exception.2.to_owned()))
            && circles(&kept(Some(exception))).len() > open;
        if !needed {
            let (name, user, used, _) = exception;
            let message = format!("`{name}`: `{user}` → `{used}` closes no circle; take it off the list");
            findings.push(Finding::new("xtask/src/tidy/circle.rs", 1, message));
        }
    }
    findings
}

/// Every use inside a circle, one finding each.
fn circles(uses: &Uses) -> Vec<Finding> {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (user, used) in uses.keys() {
        after.entry(user).or_default().insert(used);
    }
    let inside = uses.iter().filter(|((user, used), _)| reaches(&after, used, user));
    inside
        .map(|((user, used), (path, line))| {
            let message = format!("`{user}` uses `{used}`, which uses it in turn; modules form no circles");
            Finding::new(path, *line, message)
        })
        .collect()
}

fn reaches(after: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::from([from]), vec![from]);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        open.extend(after.get(at).into_iter().flatten().copied().filter(|next| seen.insert(next)));
    }
    false
}
