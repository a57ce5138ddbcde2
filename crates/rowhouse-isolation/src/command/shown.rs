//! The report for a terminal, by relation.

use std::fmt::Write as _;

use rowhouse_module::counted;

use crate::check::Severity;
use crate::report::{Finding, Report};

/// Relations with what was found in them, the worst first, then the sum.
pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    for (relation, findings) in by_relation(&report.findings) {
        let _ = writeln!(text, "{}", plain(relation));
        findings.iter().for_each(|finding| line(&mut text, finding));
        text.push('\n');
    }
    for name in &report.unused_waivers {
        let _ = writeln!(text, "rls.waive.{} covers nothing; take it out", plain(name));
    }
    text + &sum(report)
}

/// Groups in the order of their first finding.
fn by_relation(findings: &[Finding]) -> Vec<(&str, Vec<&Finding>)> {
    let mut groups: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|(relation, _)| *relation == finding.relation) {
            Some((_, group)) => group.push(finding),
            None => groups.push((&finding.relation, vec![finding])),
        }
    }
    groups
}

fn line(text: &mut String, finding: &Finding) {
    let Finding { severity, id, title, object, detail, fix, .. } = finding;
    let object = object.as_deref().map(|object| format!("{}: ", plain(object))).unwrap_or_default();
    let _ = writeln!(text, "  {:<8} {id:<32} {title}", severity.as_str());
    let _ = writeln!(text, "           {object}{}", plain(detail));
    if let Some(fix) = fix {
        let _ = writeln!(text, "           fix: {}", plain(fix));
    }
}

fn sum(report: &Report) -> String {
    let kinds = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Info, "note", "notes"),
    ];
    let found = kinds.map(|(severity, one, many)| counted(report.count(severity), one, many)).join(", ");
    let waived = match report.waived.len() {
        0 => String::new(),
        waived => format!("; {waived} waived"),
    };
    format!(
        "{found} in {}, {} and {}{waived}",
        counted(report.relations, "relation", "relations"),
        counted(report.policies, "policy", "policies"),
        counted(report.schemas.iter().map(|_| 1).sum(), "schema", "schemas")
    )
}

/// Whoever names a table must not steer the terminal of whoever reads about it.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
