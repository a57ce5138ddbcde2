//! `cargo xtask bench tenancy`: lists, searches, the launcher and permission checks over HTTP in an installation of many users and
//! tenants, `rowhouse users sync`, and the bulk job that suspends ten thousand users.

mod people;
mod request;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::report::{self, Limit, dated_document};
use super::server::{Server, User};
use request::Timed;

/// Size of the installation of which the promises speak.
pub(crate) const USERS: u32 = 100_000;
pub(crate) const TENANTS: u32 = 10_000;
/// Users whom the bulk job suspends, for so many in all; fewer of fewer.
const CLOSED: u32 = 10_000;
/// Tenants of the member whose launcher is measured.
const PLACES: u32 = 100;

/// Extent of the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) users: u32,
    pub(crate) tenants: u32,
    /// Requests of each kind.
    pub(crate) requests: u32,
    /// The program, if it is built already.
    pub(crate) binary: Option<PathBuf>,
}

impl Size {
    fn closed(&self) -> u32 {
        CLOSED.min(self.users / 10)
    }

    /// Whether the promises speak of it, and of this program.
    fn is_promised(&self) -> bool {
        self.users >= USERS && self.tenants >= TENANTS && self.binary.is_none()
    }
}

/// Builds, measures, prints and, for an installation of the promised size, writes `docs/evidence/bench-tenancy.json`.
pub(crate) fn run(root: &Path, size: &Size) -> Result<bool> {
    let binary = match &size.binary {
        Some(binary) => binary.clone(),
        None => {
            super::build(root)?;
            root.join("target/release/rowhouse")
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (timed, limits) = runtime.block_on(measure(root, &binary, size))?;
    let document = document(root, size, &timed, &limits);
    println!("{}", crate::generate::performance::tenancy_tables(&document).context("a figure is missing")?);
    println!("{}", if document["holds"] == true { "every promise holds" } else { "a promise is broken" });
    if size.is_promised() {
        report::write(&document, &root.join("docs/evidence/bench-tenancy.json"))?;
        crate::generate::write(root)?;
    }
    Ok(document["holds"] == true)
}

async fn measure(root: &Path, binary: &Path, size: &Size) -> Result<(Vec<Timed>, Vec<Limit>)> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let mut server = Server::start_program(binary, root, folder.path())?;
    eprintln!("{} users and {} tenants are made", size.users, size.tenants);
    let people = people::seed(&server, size).await?;
    let mut timed = Vec::new();
    for kind in request::kinds(&people, size) {
        eprintln!("{}", kind.what);
        timed.push(kind.measure(&server, size.requests).await?);
    }
    let mut limits: Vec<Limit> = timed.iter().map(Timed::limit).collect();
    eprintln!("users sync");
    limits.extend(people::sync(&server, size)?);
    eprintln!("bulk suspension of {} users", size.closed());
    limits.extend(people::suspend(&server, &people, size).await?);
    server.stop()?;
    Ok((timed, limits))
}

fn document(root: &Path, size: &Size, timed: &[Timed], limits: &[Limit]) -> Value {
    let mut document = dated_document("bench-tenancy", "cargo xtask bench tenancy", root);
    document["parameters"] = json!({
        "users": size.users, "tenants": size.tenants, "suspended": size.closed(), "requests": size.requests,
    });
    document["figures"] = timed.iter().map(Timed::json).collect();
    document["limits"] = limits.iter().map(Limit::json).collect();
    document["holds"] = limits.iter().all(Limit::holds).into();
    document
}

/// Who sends the requests.
pub(crate) struct People {
    /// A super_admin.
    operator: User,
    /// The owner of the large organization, with many tenants; suspended at the end.
    owner: User,
    /// A member of one tenant.
    member: User,
}
