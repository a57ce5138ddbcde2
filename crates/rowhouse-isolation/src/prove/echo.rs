//! Whether what callers see depends on the rows of another tenant: relations and functions are read before the owner has rows
//! and again afterwards. So also sums, counts and what triggers copy are seen. Leaves attacks with statements to `attack`.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::catalog::{Function, Relation};
use super::cell::Cell;
use super::literal::literal;
use super::model::Scope;
use super::proof::{Leak, Mark, Unproven};
use super::run::{Outcome, run};
use super::scene::{OWNER, SELF, SIBLING};
use super::stage::Stage;
use super::target::{Probe, digest};
use super::value::mark;
use crate::settings::{Reach, WhoseRow};

/// Most rows that are read of one relation.
const MOST_ROWS: u32 = 20_000;
/// Most combinations of arguments of one function.
const MOST_CALLS: usize = 8;
/// Most tables that are looked at for what a function has changed.
const MOST_LOOKED_AT: usize = 40;

/// What is read twice: a relation or a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// By place in the catalog.
    Relation(usize),
    Function(usize),
}

/// The first reading.
pub(crate) struct Reading {
    batches: Vec<(Source, Vec<Probe>, Vec<Outcome>)>,
}

/// What came of one source.
#[derive(Debug, Default)]
pub(crate) struct Echoed {
    pub(crate) marks: BTreeMap<(usize, Cell), Mark>,
    pub(crate) leaks: Vec<Leak>,
    pub(crate) unproven: Vec<Unproven>,
}

/// Reads everything that callers may read.
pub(crate) async fn read(client: &Client, stage: &Stage) -> Result<Reading, DbError> {
    let mut batches = Vec::new();
    for (at, relation) in stage.catalog.relations.iter().enumerate() {
        let probes = relation_probes(stage, relation, stage.declared[at].1.read);
        let outcomes = run(client, &probes).await?;
        batches.push((Source::Relation(at), probes, outcomes));
    }
    for (at, function) in
        stage.catalog.functions.iter().enumerate().filter(|(_, function)| !function.is_procedure)
    {
        let probes = function_probes(stage, function, &arguments(stage, function));
        let outcomes = run(client, &probes).await?;
        batches.push((Source::Function(at), probes, outcomes));
    }
    Ok(Reading { batches })
}

/// Whether a sibling of the owner's organization may see what the organization has.
pub(crate) fn is_shared_by_siblings(stage: &Stage) -> bool {
    let of_organization =
        |scope: &Scope| matches!(scope, Scope::Column { whose: WhoseRow::Organization, .. });
    stage.declared.iter().any(|(_, declared)| of_organization(&declared.scope))
}

fn relation_probes(stage: &Stage, relation: &Relation, read: Reach) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (index, actor) in stage.scene.actors.iter().enumerate() {
        let columns = relation.rights(&actor.role).select;
        let is_open = match read {
            Reach::Own => false,
            Reach::SignedIn => actor.user.is_some(),
            Reach::Everyone => true,
        };
        let is_skipped = !actor.is_live || is_open || (index == SIBLING && is_shared_by_siblings(stage));
        if columns.is_empty() || is_skipped {
            continue;
        }
        let row =
            format!("select row({})::text as x from {} limit {MOST_ROWS}", columns.join(", "), relation.name);
        probes.push(probe(index, Cell::Echo, &row));
    }
    probes
}

/// Number and digest of rows, and how many of them have a mark of the owner.
fn probe(actor: usize, cell: Cell, rows: &str) -> Probe {
    let sql = format!(
        "select count(*) || ':' || coalesce(md5(string_agg(x, ',' order by x)), '') || ':' || count(*) filter (where x like '%{}1%') from ({rows}) s",
        mark('a')
    );
    Probe { actor, sql, reads: true, prepare: None, look: None, cell, most: 0 }
}

fn function_probes(stage: &Stage, function: &Function, tuples: &[Arguments]) -> Vec<Probe> {
    callers(stage, function)
        .flat_map(|index| {
            tuples.iter().map(move |tuple| {
                let typed: Vec<String> = tuple
                    .iter()
                    .zip(&function.arguments)
                    .map(|(value, type_name)| format!("{}::{type_name}", literal(value.as_deref())))
                    .collect();
                probe(
                    index,
                    Cell::Call,
                    &format!(
                        "select x::text from {}({}) as x limit {MOST_ROWS}",
                        function.call,
                        typed.join(", ")
                    ),
                )
            })
        })
        .collect()
}

/// Those who may call a function and have nothing to do with the owner's rows, and the owner.
pub(crate) fn callers<'a>(stage: &'a Stage, function: &'a Function) -> impl Iterator<Item = usize> + 'a {
    let is_shared = is_shared_by_siblings(stage);
    let may = stage.scene.actors.iter().enumerate().filter(move |(index, actor)| {
        actor.is_live && function.roles.contains(&actor.role) && !(*index == SIBLING && is_shared)
    });
    may.map(|(index, _)| index)
}

/// Values of a function's arguments, in their order.
pub(crate) type Arguments = Vec<Option<String>>;

/// Arguments that name the owner: known before the owner has rows.
pub(crate) fn arguments(stage: &Stage, function: &Function) -> Vec<Arguments> {
    let owner = &stage.scene.parties[OWNER];
    let text = |value: &str| Some(value.to_owned());
    let of = |type_name: &str| match type_name {
        "uuid" => vec![text(&owner.tenant), text(&owner.user), text(&owner.organization)],
        "text" | "character varying" | "name" => {
            vec![text("%"), text(&format!("{}1", mark('a'))), text(&owner.tenant), text(&owner.user)]
        }
        "boolean" => vec![text("true"), text("false")],
        "json" | "jsonb" => vec![text("{}")],
        "integer" | "bigint" | "smallint" | "numeric" => vec![text("100"), text("0")],
        "uuid[]" => vec![text(&format!("{{{},{}}}", owner.tenant, owner.user))],
        _ => vec![None],
    };
    tuples(&function.arguments.iter().map(|name| of(name)).collect::<Vec<_>>())
}

/// Arguments from the owner's rows.
pub(crate) fn found_arguments(stage: &Stage, function: &Function) -> Vec<Arguments> {
    let of = |type_name: &String| {
        let mut values = Vec::new();
        for relation in &stage.catalog.relations {
            let Some(row) = stage.world.row(&relation.name, OWNER) else { continue };
            let keys = relation.keys.iter().flat_map(|key| &key.columns);
            let same = keys
                .filter(|name| relation.column(name).is_some_and(|column| column.type_name == *type_name));
            values.extend(same.filter_map(|name| row.get(name)?.clone()));
        }
        // What a function is given it may give back.
        values.retain(|value| !value.contains(&mark('a')));
        values.dedup();
        if values.is_empty() { vec![None] } else { values.into_iter().map(Some).collect() }
    };
    if function.arguments.is_empty() {
        Vec::new()
    } else {
        tuples(&function.arguments.iter().map(of).collect::<Vec<_>>())
    }
}

fn tuples(lists: &[Arguments]) -> Vec<Arguments> {
    let most = lists.iter().map(Vec::len).max().unwrap_or(1).min(MOST_CALLS);
    (0..most).map(|at| lists.iter().map(|list| list[at % list.len()].clone()).collect()).collect()
}

/// Reads again, twice, and compares.
pub(crate) async fn compare(
    client: &Client,
    stage: &Stage,
    reading: Reading,
) -> Result<Vec<(Source, Echoed, usize)>, DbError> {
    let look = looked_at(client, stage).await?;
    let mut all = Vec::new();
    for (source, mut probes, before) in reading.batches {
        if let Source::Function(at) = source {
            let function = &stage.catalog.functions[at];
            probes.extend(function_probes(stage, function, &found_arguments(stage, function)));
            if function.is_definer && function.is_volatile {
                probes.iter_mut().for_each(|probe| probe.look = Some(look.clone()));
            }
        }
        let after = run(client, &probes).await?;
        let again = run(client, &probes).await?;
        let seen: Vec<Seen> = (0..probes.len())
            .map(|at| Seen {
                probe: &probes[at],
                before: before.get(at),
                after: &after[at],
                again: &again[at],
            })
            .collect();
        let echoed = judge(stage, &source, &seen);
        all.push((source, echoed, probes.len() * 2));
    }
    Ok(all)
}

/// Says whether the owner's rows are as they were.
async fn looked_at(client: &Client, stage: &Stage) -> Result<String, DbError> {
    let mut parts = Vec::new();
    for (at, relation) in stage
        .catalog
        .relations
        .iter()
        .enumerate()
        .filter(|(_, relation)| relation.is_table() && relation.missing_grant.is_none())
        .take(MOST_LOOKED_AT)
    {
        let condition = stage.world.owned(&stage.declared[at].1.scope, &stage.scene.parties[OWNER], OWNER);
        parts.extend(condition.map(|condition| format!("({})", digest(&relation.name, &condition))));
    }
    if parts.is_empty() {
        return Ok("select 'same'".to_owned());
    }
    let all = parts.join(" || ',' || ");
    let now: String = client.query_one(&format!("select {all}"), &[]).await?.get(0);
    Ok(format!("select case when {all} = {} then 'same' else 'changed' end", literal(Some(&now))))
}

/// A probe with its readings; none before where the arguments were not known.
struct Seen<'a> {
    probe: &'a Probe,
    before: Option<&'a Outcome>,
    after: &'a Outcome,
    again: &'a Outcome,
}

impl Seen<'_> {
    fn is_stable(&self) -> bool {
        self.after.seen == self.again.seen
    }

    fn depends(&self) -> bool {
        let changed = self
            .before
            .is_some_and(|before| before.is_done() && self.after.is_done() && before.seen != self.after.seen);
        (changed && self.is_stable()) || marks(self.after) > self.before.map_or(0, marks)
    }

    fn writes(&self) -> bool {
        self.after.looked.as_deref() == Some("changed")
    }
}

/// Rows with a mark of the owner.
fn marks(outcome: &Outcome) -> u64 {
    outcome.seen.as_deref().and_then(|seen| seen.rsplit(':').next()?.parse().ok()).unwrap_or_default()
}

fn judge(stage: &Stage, source: &Source, seen: &[Seen<'_>]) -> Echoed {
    let mut echoed = Echoed::default();
    let has_control = seen.iter().any(|one| one.probe.actor == SELF && one.depends());
    for one in seen {
        let mark = if one.probe.actor == SELF {
            if one.depends() { Mark::Control } else { Mark::Closed }
        } else if one.depends() || one.writes() {
            echoed.leaks.push(leak(stage, source, one));
            Mark::Leak
        } else if has_control {
            Mark::Held
        } else {
            Mark::Closed
        };
        let before = echoed.marks.entry((one.probe.actor, one.probe.cell)).or_insert(mark);
        *before = (*before).max(mark);
    }
    echoed.leaks.dedup_by(|one, other| one.actor == other.actor);
    let is_read = seen.iter().any(|one| one.probe.actor != SELF);
    if !has_control && is_read {
        echoed.unproven.extend(nothing_shown(stage, source, seen));
    }
    echoed
}

/// Views and functions that run with the rights of somebody else, and of which nothing depended on the rows. Tables have other
/// cells; what runs with the caller's rights is held by the tables.
fn nothing_shown(stage: &Stage, source: &Source, seen: &[Seen<'_>]) -> Option<Unproven> {
    let name = match source {
        Source::Relation(at) => Some(&stage.catalog.relations[*at])
            .filter(|relation| !relation.is_table())
            .map(|relation| &relation.name),
        Source::Function(at) => Some(&stage.catalog.functions[*at])
            .filter(|function| function.is_definer)
            .map(|function| &function.name),
    }?;
    let failed = seen.iter().find(|one| one.probe.actor == SELF && !one.after.is_done());
    let reason = match failed {
        Some(one) => format!("the owner's reading fails: {}", one.after.told()),
        None => "nothing that it gives depends on the rows that were made".to_owned(),
    };
    Some(Unproven { relation: name.clone(), cell: Some(seen.first()?.probe.cell), reason, declared: None })
}

/// What to do about a function that gives too much.
pub(crate) fn function_remedy(function: &Function) -> String {
    format!(
        "Let it run with the rights of its caller: alter function {} security invoker; or compare the tenant in it",
        function.name
    )
}

fn leak(stage: &Stage, source: &Source, one: &Seen<'_>) -> Leak {
    let (relation, remedy) = match source {
        Source::Relation(at) => {
            let relation = &stage.catalog.relations[*at];
            (relation.name.clone(), super::judge::remedy(relation, Cell::Echo))
        }
        Source::Function(at) => {
            let function = &stage.catalog.functions[*at];
            (function.name.clone(), function_remedy(function))
        }
    };
    let what = if one.writes() {
        "changes the rows of another tenant"
    } else {
        "gives what depends on the rows of another tenant"
    };
    Leak {
        relation,
        actor: stage.scene.actors[one.probe.actor].name.clone(),
        cell: one.probe.cell,
        detail: what.to_owned(),
        statement: one.probe.sql.clone(),
        remedy,
    }
}
