//! Prepares a request of a caller: the query and the context of its flight. A pure function.

use rowhouse_db::catalog::{QualifiedName, RelationKind, Snapshot};
use rowhouse_db::flight::{Access, Isolation, Query};
use rowhouse_kernel::Caller;

use super::Sample;
use crate::admit::Admitted;
use crate::error::{Error, ErrorResponse};
use crate::limit::LimitSources;
use crate::parse::Incoming;
use crate::plan::{Plan, PlanError, ReadNode, Source};
use crate::settings::RestSettings;
use crate::sql;

/// A prepared request.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The query of the answer; not its plan, even if the request asks for that.
    pub query: Query,
    /// The statement that runs before it, as the caller.
    pub before: Option<Query>,
    /// Whether the transaction may write.
    pub access: Access,
    /// `search_path`.
    pub search_path: String,
    /// `TimeZone`, when the request names one.
    pub time_zone: Option<String>,
    /// The isolation level, if role or function set one.
    pub isolation: Option<Isolation>,
    /// `request.headers`.
    pub headers: String,
    /// `request.cookies`.
    pub cookies: String,
    /// Tables and views that the request names or embeds.
    pub relations: Vec<QualifiedName>,
}

/// Parses, plans and renders a request within the caller's limits on rows and time. The limit on cost is not applied
/// here.
///
/// # Errors
/// The failure that the request would be answered with before the database is asked.
pub fn prepare(
    sample: &Sample<'_>,
    caller: &Caller,
    limits: &LimitSources,
    snapshot: &Snapshot,
    settings: &RestSettings,
) -> Result<Prepared, Box<ErrorResponse>> {
    prepared(sample, caller, limits, snapshot, settings).map_err(|error| Box::new(ErrorResponse::from(error)))
}

fn prepared(
    sample: &Sample<'_>,
    caller: &Caller,
    limits: &LimitSources,
    snapshot: &Snapshot,
    project: &RestSettings,
) -> Result<Prepared, Error> {
    let (path, query) = sample.path_and_query.split_once('?').unwrap_or((sample.path_and_query, ""));
    let (headers, body) = (sample.headers, sample.body.clone());
    let incoming = Incoming { method: sample.method.as_str(), path, query, headers, body };
    let admitted = Admitted::new(caller, snapshot, limits, project)?;
    let request = admitted.parse(&incoming)?;
    let prepared = admitted.prepare(&request, &incoming)?;
    let nothing = || PlanError::NotImplemented("Only reads, writes and calls can be explained.");
    let query = sql::bare(&prepared.plan).ok_or_else(nothing)?;
    if query.params.len() > sql::MAX_PARAMS {
        return Err(Error::TooManyValues);
    }
    Ok(Prepared {
        query,
        access: prepared.plan.access(),
        time_zone: request.prefer.time_zone.clone(),
        relations: relations(&prepared.plan),
        before: prepared.before,
        search_path: prepared.search_path,
        isolation: prepared.isolation,
        headers: prepared.headers,
        cookies: prepared.cookies,
    })
}

/// Relations that the plan reads or writes, each once.
fn relations(plan: &Plan<'_>) -> Vec<QualifiedName> {
    let mut found = Vec::new();
    match plan {
        Plan::Read(read) => walk(&read.node, &mut found),
        Plan::Write(write) => {
            found.push(write.table.name.clone());
            write.read.iter().for_each(|node| walk(node, &mut found));
        }
        Plan::Call(call) => walk(&call.node, &mut found),
        Plan::Describe(_) | Plan::Root { .. } => {}
    }
    found.sort();
    found.dedup();
    found
}

fn walk(node: &ReadNode<'_>, found: &mut Vec<QualifiedName>) {
    if let Source::Table(table) = node.source {
        found.push(table.name.clone());
    }
    for embed in &node.embeds {
        if let RelationKind::ManyToMany(junction) = &embed.relation.kind {
            found.push(junction.table.clone());
        }
        if !matches!(embed.relation.kind, RelationKind::Computed { .. }) {
            found.push(embed.relation.target.clone());
        }
        walk(&embed.node, found);
    }
}
