//! `audit verify` and `audit newest`.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

use futures_util::TryStreamExt;
use rowhouse_audit::{Link, Report, Verification, newest_links};
use rowhouse_kernel::OrganizationId;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::Value;

use super::argument::VerifyArgs;
use super::progress::Progress;

/// Checks links and entries, then what is expected.
pub(super) async fn run(context: &CommandContext, args: &VerifyArgs) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let mut verification = Verification::begin(&client, args.organization).await?;
    let mut progress = Progress::new("entries are verified");
    verification.check_links(|links| progress.tell(links)).await?;
    verification.check_entries().await?;
    for link in &args.expect {
        verification.expect(link).await?;
    }
    if let Some(path) = &args.expect_file {
        for link in links_of(path)? {
            verification.expect(&link?).await?;
        }
    }
    outcome(&verification.end().await?)
}

/// The links of a file, read as they are needed.
fn links_of(path: &Path) -> Result<impl Iterator<Item = Result<Link, CannotRun>>, CannotRun> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|error| CannotRun::because(format!("cannot read {name}: {error}")))?;
    let lines = BufReader::new(file).lines().enumerate();
    let lines = lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    Ok(lines.map(move |(at, line)| {
        let link = line?.parse();
        link.map_err(|why: String| CannotRun::because(format!("{name}:{}: {why}", at + 1)))
    }))
}

fn outcome(report: &Report) -> Result<CommandOutcome, CannotRun> {
    let mut json = serde_json::to_value(report)?;
    json["intact"] = Value::Bool(report.is_intact());
    let Report { chains, links, unsealed, found, .. } = report;
    let mut lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let word = if report.is_intact() { "intact".to_owned() } else { format!("{found} problems") };
    lines.push(format!("{word}: {links} entries in {chains} chains; {unsealed} wait to be sealed"));
    Ok(CommandOutcome { yes: report.is_intact(), json, text: lines.join("\n") })
}

/// Prints the newest links as they are read.
pub(super) async fn newest(
    context: &CommandContext,
    only: Option<OrganizationId>,
) -> Result<CommandOutcome, CannotRun> {
    let client = context.connect().await?;
    let mut links = newest_links(&client, only).await?;
    let mut out = std::io::stdout();
    while let Some(link) = links.try_next().await? {
        match writeln!(out, "{link}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(CommandOutcome::yes(Value::Null, ""))
}
