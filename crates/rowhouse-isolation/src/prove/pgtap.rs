//! Denials as tests for pgTAP, with the rows that they are about. Leaves finding them to the proof.

use std::collections::BTreeSet;

use super::cell::Cell;
use super::literal::literal;
use super::proof::{Denial, Proof};
use super::scene::Actor;

const HEAD: &str = "-- Denials that a proof has shown, as tests for pgTAP, whose extension has to be there: create extension if not exists pgtap schema extensions\n\
    -- Run it with pg_prove, or with psql, as a login that may take the callers' roles: pg_prove -d DATABASE FILE\n";

/// A script that makes parties and rows, tries everything that was refused, and rolls back.
#[must_use]
pub fn script(proof: &Proof) -> String {
    let mut dead = BTreeSet::new();
    let tests: Vec<String> = proof
        .denials
        .iter()
        .filter_map(|denial| test(denial, &proof.callers[denial.actor], &mut dead))
        .collect();
    let mut text =
        format!("{HEAD}begin;\nset local search_path = public, extensions;\nselect plan({});\n", tests.len());
    text.extend(
        proof.setup.iter().map(|statement| format!("{};\n", statement.trim_end().trim_end_matches(';'))),
    );
    text.extend(tests.iter().map(|test| format!("{test}\n")));
    text + "select * from finish();\nrollback;\n"
}

/// In the caller's role and with its claims; the session check, which precedes every statement, once for each caller.
fn test(denial: &Denial, actor: &Actor, dead: &mut BTreeSet<usize>) -> Option<String> {
    let name = literal(Some(&format!("{}: {}, {}", denial.relation, actor.name, denial.cell.as_str())));
    let check = match &denial.state {
        Some(state) if state.starts_with("RH") => {
            let check = format!(
                "select rowhouse.require_live_session({}, {}, {}, {})",
                literal(actor.session.as_deref()),
                literal(actor.user.as_deref()),
                literal(actor.tenant.as_deref()),
                literal(Some(&actor.role))
            );
            let name = literal(Some(&format!("{} is refused", actor.name)));
            return dead
                .insert(denial.actor)
                .then(|| format!("select throws_ok({}, '{state}', null, {name});", literal(Some(&check))));
        }
        Some(state) => format!("select throws_ok({}, '{state}', null, {name});", literal(Some(&denial.sql))),
        // Its rows cannot be counted before PostgreSQL 17.
        None if denial.cell == Cell::Merge => return None,
        None => format!("select is_empty({}, {name});", literal(Some(&counted(&denial.sql)))),
    };
    Some(format!(
        "set local request.jwt.claims = {}; set local role = {};\n{check}\nreset role;",
        literal(Some(&actor.claims)),
        literal(Some(&actor.role))
    ))
}

/// Writes as queries, so that their rows can be counted.
fn counted(sql: &str) -> String {
    if sql.starts_with("select") { sql.to_owned() } else { format!("{sql} returning 1") }
}
