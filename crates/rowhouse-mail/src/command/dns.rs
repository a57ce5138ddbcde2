//! `mail dns`: what the sending domain has to publish, and whether it does.

use std::net::SocketAddr;

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::dns::{self, Finding, Record, RecordState};
use crate::settings::MailSettings;

/// Yes if every record is good, no if one is missing or wrong. If a name server does not answer, the check could not
/// run.
pub(super) async fn run(
    context: &CommandContext,
    checks: bool,
    server: Option<SocketAddr>,
) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?.get::<MailSettings>();
    let (records, notes) = (dns::records(&settings)?, dns::notes(&settings));
    if !checks {
        let text = with_notes(records.iter().map(line).collect(), &notes);
        return Ok(CommandOutcome::yes(json!({ "records": records, "notes": notes }), text));
    }
    let findings = dns::look_up(&records, server).await?;
    let is = |state: RecordState| move |finding: &&Finding| finding.state == state;
    let is_bad = |finding: &Finding| matches!(finding.state, RecordState::Missing | RecordState::Wrong);
    if !findings.iter().any(is_bad) && findings.iter().any(|finding| is(RecordState::Unknown)(&finding)) {
        return Err(CannotRun(findings.iter().filter(is(RecordState::Unknown)).map(unasked).collect()));
    }
    let lines = findings.iter().map(|finding| {
        format!("{:<8} {}\n         {}", finding.state.name(), line(&finding.record), shown(&finding.says))
    });
    let text = with_notes(lines.collect(), &notes);
    let yes = findings.iter().all(|finding| finding.state == RecordState::Good);
    Ok(CommandOutcome { yes, json: json!({ "records": findings, "notes": notes }), text })
}

fn line(record: &Record) -> String {
    format!("{} {} {}", record.name, record.kind, record.value)
}

fn unasked(finding: &Finding) -> String {
    format!("{} {}: unknown, {}", finding.record.kind, finding.record.name, shown(&finding.says))
}

fn with_notes(mut lines: Vec<String>, notes: &[String]) -> String {
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// Without control characters: the DNS answer is not trusted.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
