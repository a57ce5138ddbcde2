//! Judges files one after the other, each with what the ones before it have left.

use rowhouse_db::migrate::{Migration, Phase};

use crate::file::File;
use crate::finding::{Finding, Found, PAGE, Report, Severity, Waived};
use crate::known::{Known, Reader};
use crate::library;
use crate::rule::{RULES, Scene};
use crate::waiver::{Waiver, waivers};

/// What the files cannot tell.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Schemas whose tables the data API serves.
    pub exposed: Vec<String>,
    /// Views, policies and functions of the database; those that the files make need not be among them.
    pub readers: Vec<Reader>,
}

/// Which files are judged; the others tell what is there.
#[derive(Debug, Clone, Copy)]
pub enum Judged<'a> {
    /// Those named, each as if all before it had been applied long ago.
    Alone(&'a [String]),
    /// Those named, which run one after the other: what the first makes, nobody uses when the second runs.
    Together(&'a [String]),
}

impl Judged<'_> {
    fn has(&self, name: &str) -> bool {
        let (Self::Alone(names) | Self::Together(names)) = self;
        names.iter().any(|known| known == name)
    }
}

/// What is dangerous in the files; `migrations` are all of a project, in order.
#[must_use]
pub fn lint(migrations: &[Migration], judged: Judged<'_>, context: &Context) -> Report {
    let mut known = Known::new(&context.readers);
    let mut report = Report::default();
    for migration in migrations {
        let file = File::read(migration);
        let is_judged = judged.has(&migration.name);
        if is_judged {
            let scene = Scene { file: &file, known: &known, exposed: &context.exposed };
            report.files += 1;
            settle(&file, hits(&scene), &mut report);
        }
        known.learn(&file, is_judged && matches!(judged, Judged::Together(_)));
    }
    report
}

fn hits(scene: &Scene<'_>) -> Vec<Found> {
    let file = scene.file;
    let is_contract = file.phase == Some(Phase::Contract);
    let mut found = library::findings(scene);
    for rule in RULES {
        let severity = if rule.is_breaking && is_contract { Severity::Warning } else { rule.severity };
        found.extend((rule.check)(scene).into_iter().map(|hit| Found {
            rule: rule.id.to_owned(),
            severity,
            at: hit.at,
            message: hit.message,
            remedy: rule.remedy.to_owned(),
        }));
    }
    found
}

/// Takes the waived ones out, and adds waivers that are wrong.
fn settle(file: &File, found: Vec<Found>, report: &mut Report) {
    let waivers = waivers(file);
    let mut used = vec![false; waivers.len()];
    let mut findings = Vec::new();
    for found in found {
        let statement = file.statement_at(found.at);
        let covers = |waiver: &Waiver| {
            waiver.rule == found.rule && waiver.statement.is_some() && waiver.statement == statement
        };
        let waiver = waivers.iter().position(covers);
        let finding = finding(file, found);
        match waiver {
            Some(at) if !waivers[at].reason.is_empty() => {
                used[at] = true;
                report.waived.push(Waived { finding, reason: waivers[at].reason.clone() });
            }
            _ => findings.push(finding),
        }
    }
    let wrong = waivers.iter().zip(used).filter(|(_, used)| !used);
    findings.extend(wrong.map(|(waiver, _)| finding(file, wrong_waiver(waiver))));
    findings.sort_by(|a, b| (a.line, a.column, &a.rule).cmp(&(b.line, b.column, &b.rule)));
    report.findings.extend(findings);
}

fn wrong_waiver(waiver: &Waiver) -> Found {
    let Waiver { rule, reason, at, .. } = waiver;
    let message = match reason.is_empty() {
        true => format!("The waiver of {rule} has no reason, and waives nothing."),
        false => format!("The waiver of {rule} covers no finding of the statement below it."),
    };
    Found {
        rule: "waiver".to_owned(),
        severity: Severity::Error,
        at: *at,
        message,
        remedy: "Write `-- rowhouse: allow RULE: reason` directly above the statement, or remove it."
            .to_owned(),
    }
}

fn finding(file: &File, found: Found) -> Finding {
    let (line, column) = file.line_and_column(found.at);
    let is_ours =
        RULES.iter().any(|rule| rule.id == found.rule) || ["waiver", "syntax"].contains(&&*found.rule);
    let anchor = if is_ours { found.rule.as_str() } else { "squawk" };
    Finding {
        severity: found.severity,
        page: format!("{PAGE}#{anchor}"),
        rule: found.rule,
        file: file.name.clone(),
        line,
        column,
        message: found.message,
        remedy: found.remedy,
    }
}
