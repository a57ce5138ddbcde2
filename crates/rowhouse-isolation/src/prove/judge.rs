//! What outcomes mean: held, leak, closed or unproven. A denial counts only where the same statement succeeds for the owner of
//! the row, or nothing could come of it for want of a grant or policy.

use std::collections::BTreeMap;

use super::catalog::Relation;
use super::cell::Cell;
use super::proof::{Leak, Mark, Unproven};
use super::run::Outcome;
use super::scene::{Actor, SELF};
use super::target::Probe;

/// The data API's codes for a relation that its schemas do not have, for example a partition, and for a schema that it does not
/// serve.
const NOT_SERVED: [&str; 2] = ["PGRST205", "PGRST106"];

/// A relation's probes with their outcomes.
pub(crate) struct Trial<'a> {
    pub(crate) relation: &'a Relation,
    pub(crate) actors: &'a [Actor],
    /// Whether its rows are somebody's; if not, nobody among the callers may write.
    pub(crate) is_private: bool,
    pub(crate) tried: &'a [(Probe, Outcome)],
}

/// What came of a relation: marks by actor and cell, and what to report.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) marks: BTreeMap<(usize, Cell), Mark>,
    pub(crate) leaks: Vec<Leak>,
    pub(crate) unproven: Vec<Unproven>,
}

impl Trial<'_> {
    pub(crate) fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        for (probe, outcome) in self.tried {
            let mark = self.mark(probe, outcome, &mut judged);
            let before = judged.marks.entry((probe.actor, probe.cell)).or_insert(mark);
            *before = (*before).max(mark);
        }
        judged
    }

    fn mark(&self, probe: &Probe, outcome: &Outcome, judged: &mut Judged) -> Mark {
        let actor = &self.actors[probe.actor];
        let is_control = probe.actor == SELF
            && probe.cell != Cell::InsertNobody
            && (self.is_private || probe.cell.in_sql() == Cell::Select);
        if probe.cell == Cell::SideEffect {
            return self.side_effect(probe, outcome, judged);
        }
        if is_control {
            return if passes(probe, outcome) { Mark::Control } else { Mark::Closed };
        }
        if passes(probe, outcome) {
            judged.leaks.push(self.leak(probe, outcome));
            return Mark::Leak;
        }
        // An upsert needs both rights, and is an insert otherwise.
        let is_upsert = probe.cell.in_sql() == Cell::Upsert;
        let is_closed = |verb| self.relation.is_closed(&actor.role, verb);
        if is_closed(probe.cell.verb()) || is_upsert && is_closed("update") || self.cannot(outcome) {
            return Mark::Closed;
        }
        let control = self.control(probe.cell);
        let is_denied = outcome.is_refused()
            || outcome.is_done()
            || (probe.cell == Cell::InsertNobody && outcome.state == "23502")
            // A reference to the row of another tenant is refused like one to a row that does not exist.
            || (probe.cell.in_sql() == Cell::Refer && outcome.state == "23503");
        let reason = match (is_denied, control) {
            (true, Ok(())) => return Mark::Held,
            (true, Err(reason)) => reason,
            (false, _) => format!("{}: {}", actor.name, outcome.told()),
        };
        judged.unproven.push(Unproven {
            relation: self.relation.name.clone(),
            cell: Some(probe.cell),
            reason,
            declared: None,
        });
        Mark::Unproven
    }

    /// Views that cannot be written, and relations that the data API does not serve.
    fn cannot(&self, outcome: &Outcome) -> bool {
        if NOT_SERVED.contains(&outcome.state.as_str()) {
            return true;
        }
        !self.relation.is_table() && matches!(outcome.state.as_str(), "55000" | "0A000" | "42809" | "428C9")
    }

    /// Whether the owner of the row succeeded with the same statement.
    fn control(&self, cell: Cell) -> Result<(), String> {
        if !self.is_private && cell.in_sql() != Cell::Select {
            return Err("a policy permits it, so the denial has another cause".to_owned());
        }
        let wanted = cell.control();
        let controls = self.tried.iter().filter(|(probe, _)| probe.actor == SELF && probe.cell == wanted);
        let mut last = "the owner's statement could not be written".to_owned();
        for (probe, outcome) in controls {
            if passes(probe, outcome) {
                return Ok(());
            }
            last = format!("the owner of the row is refused as well: {}", outcome.told());
        }
        Err(last)
    }

    fn side_effect(&self, probe: &Probe, outcome: &Outcome, judged: &mut Judged) -> Mark {
        match (&outcome.looked, &probe.look) {
            (Some(looked), Some(_)) if looked == "same" => Mark::Held,
            (Some(_), Some(_)) => {
                judged.leaks.push(self.leak(probe, outcome));
                Mark::Leak
            }
            _ => Mark::Closed,
        }
    }

    fn leak(&self, probe: &Probe, outcome: &Outcome) -> Leak {
        let stopped = if outcome.is_done() {
            String::new()
        } else {
            format!("; only a constraint stopped it: {}", outcome.told())
        };
        let over = if probe.cell.in_sql() == probe.cell { "" } else { " over HTTP" };
        Leak {
            relation: self.relation.name.clone(),
            actor: self.actors[probe.actor].name.clone(),
            cell: probe.cell,
            detail: format!("{}{over}{stopped}", sentence(probe.cell)),
            statement: probe.sql.clone(),
            remedy: remedy(self.relation, probe.cell),
        }
    }
}

/// Whether policies let the statement through: it reached rows, or only a constraint stopped it.
pub(crate) fn passes(probe: &Probe, outcome: &Outcome) -> bool {
    // Of one's own row, policies let an upsert or a reference through rightly; NOT NULL is what holds a row of nobody.
    let is_own = matches!(probe.cell.in_sql(), Cell::Upsert | Cell::Refer)
        || (probe.cell == Cell::InsertNobody && outcome.state == "23502");
    let is_stopped = outcome.state.starts_with("23") && !is_own;
    let is_counted = !matches!(probe.cell.in_sql(), Cell::UpdateAll) || outcome.is_done();
    (outcome.is_done() && outcome.rows.unwrap_or_default() > probe.most) || (is_stopped && is_counted)
}

fn sentence(cell: Cell) -> &'static str {
    match cell.in_sql() {
        Cell::Select => "reads the row of another tenant",
        Cell::SelectAny => "reads rows that are not the caller's",
        Cell::Insert => "writes a row as another tenant's",
        Cell::InsertNobody => "writes a row that is nobody's",
        Cell::Update => "changes the row of another tenant",
        Cell::UpdateAll => "changes rows of other tenants by a statement without a condition",
        Cell::Move => "hands a row to another tenant",
        Cell::Delete => "deletes the row of another tenant",
        Cell::DeleteAll => "deletes rows of other tenants by a statement without a condition",
        Cell::Upsert => "changes the row of another tenant by an upsert",
        Cell::Merge => "changes the row of another tenant by MERGE",
        Cell::Refer => "refers to the row of another tenant",
        Cell::SideEffect => "a write of one's own changes rows of another tenant",
        Cell::Echo => "sees what depends on the rows of another tenant",
        Cell::Bleed => "sees what the request of another tenant has left",
        _ => "reaches the rows of another tenant by a function",
    }
}

pub(crate) fn remedy(relation: &Relation, cell: Cell) -> String {
    let name = &relation.name;
    if !relation.is_secured && relation.is_table() {
        return format!("Protect it: select tenancy.protect('{name}'); or revoke the grants");
    }
    match cell {
        Cell::Echo if !relation.is_table() => {
            format!(
                "Let it run with the rights of its caller: alter view {name} set (security_invoker = true); or revoke the grants"
            )
        }
        Cell::Refer => format!(
            "Call tenancy.protect('{name}') again: it adds a check to the reference; or add the tenant to the key"
        ),
        Cell::SideEffect => {
            "Look at the triggers: one of them writes with its owner's rights without comparing the tenant"
                .to_owned()
        }
        _ => {
            let verb = cell.verb();
            format!(
                "Look at the policies for {verb} of {name}: one that is too wide is enough, for permissive ones are joined with OR"
            )
        }
    }
}
