//! Attacks on one relation: all callers, all cells, one batch. Leaves judging to `judge`.

use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::cell::Cell;
use super::insert::insert;
use super::judge::{Judged, Trial};
use super::literal::literal;
use super::model::Scope;
use super::proof::{Denial, Note, Unproven};
use super::run::{Outcome, run};
use super::scene::{OTHER, OWNER, SELF};
use super::stage::Stage;
use super::target::{Probe, Target, digest};

/// What came of a relation.
#[derive(Debug, Default)]
pub(crate) struct Attacked {
    pub(crate) judged: Judged,
    pub(crate) notes: Vec<Note>,
    pub(crate) denials: Vec<Denial>,
    pub(crate) probes: usize,
}

/// Attacks the relation of that place, if somebody may do anything with it.
pub(crate) async fn attack(client: &Client, stage: &Stage, at: usize) -> Result<Attacked, DbError> {
    let mut attacked = Attacked::default();
    let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
    let rows = stage.rows(at);
    let whole =
        |reason: String| Unproven { relation: relation.name.clone(), cell: None, reason, declared: None };
    if !declared.is_declared {
        attacked.judged.unproven.push(whole(format!(
            "nobody has declared whose rows it holds: call tenancy.protect('{0}') or tenancy.share('{0}'), or name it in [rls.table]",
            relation.name
        )));
    }
    if let Some(reason) = relation.out_of_reach() {
        attacked.judged.unproven.push(whole(reason));
        return Ok(attacked);
    }
    if relation.kind == "f" {
        attacked.judged.unproven.push(whole("a foreign table: no rows are made in it".to_owned()));
    }
    if declared.scope == Scope::Nobody && (!declared.is_declared || !relation.is_table()) {
        return Ok(attacked);
    }
    let Some(row) = rows.of.get(&OWNER) else {
        if relation.is_table() {
            attacked.judged.unproven.push(whole(
                rows.missing.unwrap_or_else(|| "no row of the attacked tenant is in it".to_owned()),
            ));
        }
        return Ok(attacked);
    };
    let owned = stage.owned(client, at).await?;
    let target = Target {
        maker: stage.maker(at),
        recipe: &rows.recipe,
        row,
        owned: &owned,
        clearing: stage.clearing(&relation.name),
        private: stage.private_references(at),
    };
    let probes = probes(client, stage, at, &target).await?;
    let outcomes = run(client, &probes).await?;
    attacked.probes = probes.len();
    let (oracles, tried): (Vec<_>, Vec<_>) =
        probes.into_iter().zip(outcomes).partition(|(probe, _)| probe.cell == Cell::Echo);
    attacked.notes = notes(stage, at, &oracles);
    let trial = Trial {
        relation,
        actors: &stage.scene.actors,
        is_private: declared.scope != Scope::Nobody,
        tried: &tried,
    };
    attacked.judged = merged(attacked.judged, trial.judge());
    attacked.denials = denials(&relation.name, &tried, &attacked.judged);
    Ok(attacked)
}

fn merged(first: Judged, mut second: Judged) -> Judged {
    second.unproven.splice(0..0, first.unproven);
    second
}

async fn probes(
    client: &Client,
    stage: &Stage,
    at: usize,
    target: &Target<'_>,
) -> Result<Vec<Probe>, DbError> {
    let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
    let mut probes: Vec<Probe> =
        stage.callers(at).flat_map(|(index, actor)| target.probes(index, actor)).collect();
    let other = &stage.scene.parties[OTHER];
    let theirs = stage.world.owned(&declared.scope, other, OTHER);
    for probe in probes.iter_mut().filter(|probe| probe.cell == Cell::SideEffect) {
        let Some(theirs) = &theirs else { continue };
        let look = digest(&relation.name, theirs);
        let now: Option<String> = client.query_one(&look, &[]).await?.get(0);
        probe.look = Some(format!(
            "select case when ({look}) = {} then 'same' else 'changed' end",
            literal(now.as_deref())
        ));
    }
    probes.extend(oracles(stage, at, target));
    Ok(probes)
}

/// Rows of a stranger's own with values that the owner has in a unique key; marked as echoes.
fn oracles(stage: &Stage, at: usize, target: &Target<'_>) -> Vec<Probe> {
    let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
    if !relation.is_table()
        || declared.scope == Scope::Nobody
        || relation.is_closed(&stage.scene.actors[OTHER].role, "insert")
    {
        return Vec::new();
    }
    let scope = declared.scope.columns();
    let is_guessable = |name: &String| {
        let column = relation.column(name);
        let is_reference = relation.references.iter().any(|reference| reference.columns.contains(name));
        column.is_some_and(|column| !column.has_default && !column.is_fixed && column.base != "uuid")
            && !is_reference
    };
    let keys = relation.keys.iter().filter(|key| {
        !key.columns.iter().any(|name| scope.contains(&name.as_str())) && key.columns.iter().all(is_guessable)
    });
    let probe = |key: &super::catalog::Key| {
        let mut row = target.maker.written(target.recipe, Some(OTHER), 6);
        key.columns
            .iter()
            .for_each(|name| drop(row.insert(name.clone(), target.row.get(name).cloned().flatten())));
        Probe {
            actor: OTHER,
            sql: insert(&relation.name, &row),
            reads: false,
            prepare: None,
            look: None,
            cell: Cell::Echo,
            most: 0,
        }
    };
    keys.map(probe).collect()
}

fn notes(stage: &Stage, at: usize, oracles: &[(Probe, Outcome)]) -> Vec<Note> {
    let relation = &stage.catalog.relations[at];
    let note = |kind, detail: String| Note { relation: relation.name.clone(), kind, detail };
    let told = oracles.iter().filter(|(_, outcome)| outcome.state == "23505");
    let mut notes: Vec<Note> = told
        .map(|(_, outcome)| {
            note(
                "unique_key",
                format!(
                    "tells that another tenant has the value: {}",
                    outcome.said.clone().unwrap_or_default()
                ),
            )
        })
        .collect();
    for (role, rights) in &relation.rights {
        if rights.verbs.iter().any(|verb| verb == "truncate") {
            notes.push(note(
                "truncate",
                format!("{role} may empty it for all tenants where it can run SQL of its own"),
            ));
        }
    }
    notes
}

/// What other programs can try again.
fn denials(name: &str, tried: &[(Probe, Outcome)], judged: &Judged) -> Vec<Denial> {
    let held = tried.iter().filter(|(probe, outcome)| {
        probe.actor != SELF
            && judged.marks.get(&(probe.actor, probe.cell)) == Some(&super::proof::Mark::Held)
            && (outcome.is_done() || outcome.is_refused())
            && probe.most == 0
    });
    held.map(|(probe, outcome)| Denial {
        relation: name.to_owned(),
        actor: probe.actor,
        cell: probe.cell,
        sql: probe.sql.clone(),
        state: (!outcome.is_done()).then(|| outcome.state.clone()),
    })
    .collect()
}
