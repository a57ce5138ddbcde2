//! Proof and mutation for a terminal. Leaves the documents to their modules.

use std::fmt::Write as _;

use rowhouse_module::counted;

use super::super::shown::plain;
use crate::mutate::{Fate, Mutant, Mutation};
use crate::prove::{Proof, Unproven};

/// Leaks with statement and remedy, then what is not known, then the sum.
pub(super) fn proof(proof: &Proof) -> String {
    let mut text = String::new();
    for leak in &proof.leaks {
        let _ = writeln!(
            text,
            "leak      {}: {}: {}",
            plain(&leak.relation),
            plain(&leak.actor),
            plain(&leak.detail)
        );
        let _ = writeln!(text, "          {}", plain(&leak.statement));
        let _ = writeln!(text, "          {}", plain(&leak.remedy));
    }
    let open = proof.unproven.iter().filter(|one| one.declared.is_none());
    open.for_each(|one| unproven(&mut text, one));
    for note in &proof.notes {
        let _ = writeln!(text, "note      {}: {}: {}", plain(&note.relation), note.kind, plain(&note.detail));
    }
    for name in &proof.unused {
        let _ = writeln!(text, "rls.unproven.{} covers nothing; take it out", plain(name));
    }
    if !proof.sequences.is_empty() {
        let _ = writeln!(text, "sequences that are further now: {}", plain(&proof.sequences.join(", ")));
    }
    text + &sum(proof)
}

fn unproven(text: &mut String, one: &Unproven) {
    let cell = one.cell.map(|cell| format!(", {}", cell.as_str())).unwrap_or_default();
    let _ = writeln!(text, "unproven  {}{cell}: {}", plain(&one.relation), plain(&one.reason));
}

fn sum(proof: &Proof) -> String {
    let coverage = &proof.coverage;
    let count = |number: usize, one: &str, many: &str| counted(number as u64, one, many);
    let accepted = proof.unproven.iter().filter(|one| one.declared.is_some()).count();
    let accepted = if accepted == 0 { String::new() } else { format!(" ({accepted} accepted)") };
    let requests = match coverage.requests {
        0 => String::new(),
        sent => format!(" and {}", count(sent, "request", "requests")),
    };
    format!(
        "{}, {} unproven{accepted} in {} and {}: {}{requests} with {} of callers, {} denials shown next to a success\nschema {}",
        count(proof.leaks.len(), "leak", "leaks"),
        proof.unproven.len(),
        count(coverage.relations, "relation", "relations"),
        count(coverage.functions, "function", "functions"),
        count(coverage.probes, "statement", "statements"),
        count(coverage.actors, "kind", "kinds"),
        coverage.held,
        proof.fingerprint
    )
}

/// Each defect with who found it, the survivors last.
pub(super) fn mutation(mutation: &Mutation) -> String {
    let mut text = String::new();
    for fate in [Fate::Killed, Fate::Skipped, Fate::Survived] {
        mutation
            .mutants
            .iter()
            .filter(|mutant| mutant.fate == fate)
            .for_each(|mutant| line(&mut text, mutant));
    }
    for alarm in &mutation.false_alarms {
        let _ = writeln!(text, "without any defect: {}", plain(alarm));
    }
    let (killed, survived) = (mutation.count(Fate::Killed), mutation.count(Fate::Survived));
    let skipped = mutation.count(Fate::Skipped);
    let by = |name: &str| mutation.mutants.iter().filter(|mutant| mutant.killed_by.contains(&name)).count();
    let _ = write!(
        text,
        "{killed} of {} defects found ({} by the proof, {} by the audit), {skipped} not applied, {} without any defect",
        killed + survived,
        by("prove"),
        by("audit"),
        counted(mutation.false_alarms.len() as u64, "finding", "findings")
    );
    text
}

fn line(text: &mut String, mutant: &Mutant) {
    let word = match mutant.fate {
        Fate::Killed => "killed",
        Fate::Survived => "SURVIVED",
        Fate::Skipped => "skipped",
    };
    let by = mutant.killed_by.join("+");
    let _ = writeln!(
        text,
        "{word:<9} {:<12} {:<32} {}: {}",
        by,
        mutant.kind,
        plain(&mutant.relation),
        plain(&mutant.detail)
    );
    if mutant.fate == Fate::Survived {
        let _ = writeln!(text, "          {}", plain(&mutant.sql));
    }
}
