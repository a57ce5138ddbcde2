//! Requests of each kind, one after the other, and how long they take.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{People, Size};
use crate::bench::report::{Limit, hundredths};
use crate::bench::server::{Server, User};

/// Longest request, of 95 in 100, in milliseconds.
const MOST_MS: f64 = 20.0;

/// Requests that are measured together.
pub(super) struct Kind {
    pub(super) what: &'static str,
    user: User,
    /// Sent in turns.
    paths: Vec<String>,
}

/// How long they took, in milliseconds.
pub(super) struct Timed {
    what: &'static str,
    p50: f64,
    p95: f64,
    worst: f64,
}

/// All kinds; most have many paths, so that no answer is in a cache.
pub(super) fn kinds(people: &People, size: &Size) -> Vec<Kind> {
    let (operator, owner, member) = (&people.operator, &people.owner, &people.member);
    let kind =
        |(what, user, paths): (&'static str, &User, Vec<String>)| Kind { what, user: user.clone(), paths };
    let large = format!("/organizations/{}", id(1));
    let tenant = |rest: &str| -> Vec<String> {
        (1..=20).map(|n| format!("/tenants/{}{rest}", id(1 + n * 3 % (size.tenants / 5)))).collect()
    };
    let own = [
        ("list of tenants", owner, vec![format!("{large}/tenants"), format!("{large}/tenants?q=tenant-7")]),
        ("members of a large organization", owner, vec![format!("{large}/members")]),
        ("members of a tenant", owner, tenant("/members")),
        ("tenant, which asks for a permission", owner, tenant("")),
        ("launcher of a member", member, vec!["/me".to_owned()]),
        ("launcher of an owner of many tenants", owner, vec!["/me".to_owned()]),
    ];
    let of_operator = operators_paths().map(|(what, paths)| (what, operator, paths));
    own.into_iter().chain(of_operator).map(kind).collect()
}

/// What operators ask for.
fn operators_paths() -> [(&'static str, Vec<String>); 9] {
    let some = |path: fn(u32) -> String| (1..=50).map(path).collect::<Vec<_>>();
    let each = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let among_members = |text: &&str| format!("/users?q={text}&organization={}", id(1));
    [
        ("all organizations", each(&["/organizations", "/organizations?status=active"])),
        ("search of organizations", some(|n| format!("/organizations?q=organization-{n}"))),
        ("all tenants", each(&["/tenants", "/tenants?q=tenant-77"])),
        ("all users", each(&["/users", "/users?status=active", "/users?status=suspended"])),
        (
            "search of users by address and number",
            some(|n| match n % 2 {
                0 => format!("/users?q=user{}", n * 37),
                _ => format!("/users?q=%2B4910000{n:02}"),
            }),
        ),
        ("search of users by a name of few", some(|n| format!("/users?q=name{}", 100 + n))),
        (
            "search of users by a name of many",
            each(&["/users?q=person", "/users?q=p", "/users?q=name9", "/users?q=person1"]),
        ),
        ("search of users by a name of nobody", some(|n| format!("/users?q=nobody{n}"))),
        ("search of members", ["person", "name7", "user12", "nobody"].iter().map(among_members).collect()),
    ]
}

/// The id of what has this number, as the seed makes it.
pub(super) fn id(number: u32) -> String {
    format!("{:08x}-0000-4000-8000-{number:012}", number.wrapping_mul(2_654_435_761))
}

impl Kind {
    /// So many requests, after each path once.
    pub(super) async fn measure(&self, server: &Server, requests: u32) -> Result<Timed> {
        for path in &self.paths {
            self.send(server, path).await?;
        }
        let mut took = Vec::new();
        for path in self.paths.iter().cycle().take(requests as usize) {
            took.push(self.send(server, path).await?);
        }
        took.sort_by(f64::total_cmp);
        let at =
            |share: usize| took.get(took.len() * share / 100).or(took.last()).copied().context("no request");
        Ok(Timed { what: self.what, p50: at(50)?, p95: at(95)?, worst: at(100)? })
    }

    async fn send(&self, server: &Server, path: &str) -> Result<f64> {
        let began = Instant::now();
        let get = |http: &reqwest::Client, url: &str| http.get(format!("{url}/admin/v1{path}"));
        let answer = server.exchange(&self.user, get).await.with_context(|| path.to_owned())?;
        answer.bytes().await?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }
}

impl Timed {
    pub(super) fn limit(&self) -> Limit {
        Limit { what: self.what, unit: "ms", most: MOST_MS, measured: Some(self.p95) }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "what": self.what, "p50_ms": hundredths(self.p50), "p95_ms": hundredths(self.p95), "worst_ms": hundredths(self.worst) })
    }
}
