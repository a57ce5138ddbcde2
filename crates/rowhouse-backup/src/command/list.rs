//! `backup list`: what the store holds. Leaves reading it to `store`.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::KeyArgs;
use crate::coverage::Coverage;
use crate::error::StoreError;
use crate::lsn::Lsn;
use crate::manifest::{BackupKind, Manifest};
use crate::store::{Condition, Listed, Record, Store};

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
const STEP: u64 = 1024;

/// One backup, with the log that belongs to it.
struct Line {
    listed: Listed,
    coverage: Option<Coverage>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The named points instead, to which `restore --name` goes back
    #[arg(long)]
    pub(super) points: bool,
    #[command(flatten)]
    key: KeyArgs,
}

pub(super) async fn run(context: &CommandContext, args: &ListArgs) -> Result<CommandOutcome, CannotRun> {
    let store = super::reader(context, &args.key)?;
    if args.points {
        return points(&store).await;
    }
    let lines = lines(&store).await?;
    let now = store.now();
    let documents: Vec<Value> = lines.iter().map(document).collect();
    let json = json!({ "store": store.place(), "backups": documents });
    Ok(CommandOutcome::yes(json, text(&store, &lines, now)))
}

/// The newest first; those that cannot be read by their names.
async fn points(store: &Store) -> Result<CommandOutcome, CannotRun> {
    let mut found = Vec::new();
    for name in store.list_points().await? {
        match store.get_point(&name).await {
            Err(error) if !error.is_damage() && !matches!(error, StoreError::WrongKey { .. }) => {
                return Err(error.into());
            }
            point => found.push((name, point)),
        }
    }
    found.sort_by_key(|(_, point)| std::cmp::Reverse(point.as_ref().ok().map(|point| point.at)));
    let (mut table, mut documents) = (Table::new(), Vec::new());
    table.load_style(NOTHING).set_header(["point", "at", "position", "timeline"]);
    for (name, point) in &found {
        match point {
            Ok(point) => {
                documents.push(json!(point));
                let timeline = point.timeline.to_string();
                table.add_row([name, &at(point.at).unwrap_or_default(), &point.lsn.to_string(), &timeline]);
            }
            Err(error) => {
                documents.push(json!({ "name": name, "error": error.to_string() }));
                table.add_row([name, &error.to_string()]);
            }
        }
    }
    let text = match found.is_empty() {
        true => format!("no points in {}; name one with: rowhouse backup point NAME", store.place()),
        false => format!("{table}"),
    };
    Ok(CommandOutcome::yes(json!({ "store": store.place(), "points": documents }), text))
}

/// The newest first.
async fn lines(store: &Store) -> Result<Vec<Line>, CannotRun> {
    let mut lines = Vec::new();
    for listed in store.list().await?.into_iter().rev() {
        let coverage = match listed.manifest() {
            // Damage of the log is what `verify` reports; here nothing is known to be covered.
            Some(manifest) => store.coverage(manifest).await.ok().flatten(),
            None => None,
        };
        lines.push(Line { listed, coverage });
    }
    Ok(lines)
}

fn document(line: &Line) -> Value {
    let Line { listed, coverage } = line;
    let mut document =
        json!({ "id": listed.id, "status": listed.condition.name(), "stored_bytes": listed.stored_bytes });
    match &listed.condition {
        Condition::Good(manifest) => describe(&mut document, manifest, listed, coverage.as_ref()),
        Condition::Unreadable(error) => document["error"] = error.to_string().into(),
        Condition::Incomplete => {}
    }
    document
}

fn describe(document: &mut Value, manifest: &Manifest, listed: &Listed, coverage: Option<&Coverage>) {
    let parts = json!({
        "kind": manifest.kind,
        "label": manifest.label,
        "bytes": manifest.bytes(),
        "started_at": at(manifest.started_at),
        "finished_at": at(manifest.finished_at),
        "postgres_version": manifest.postgres_version,
        "system_id": manifest.system_id,
        "timeline": manifest.timeline,
        "start_lsn": manifest.start_lsn,
        "stop_lsn": manifest.stop_lsn,
        "recipients": manifest.recipients(),
        "last_verified": listed.state.verified,
        "last_drilled": listed.state.drilled,
        "covers": coverage.map(|coverage| covers(manifest, coverage)),
    });
    if let (Some(document), Value::Object(parts)) = (document.as_object_mut(), parts) {
        document.extend(parts);
    }
}

/// From which position to which a restore is possible. `to` is null if not even the end of the backup is reached.
fn covers(manifest: &Manifest, coverage: &Coverage) -> Value {
    json!({
        "from": manifest.stop_lsn,
        "to": reach(manifest, coverage),
        "stored_at": coverage.stored_at.and_then(at),
        "timeline": coverage.last.map(|(timeline, _)| timeline),
        "gaps": coverage.missing.len(),
    })
}

/// The end of the last segment without a gap before it, if the backup's end lies before it.
fn reach(manifest: &Manifest, coverage: &Coverage) -> Option<Lsn> {
    let (_, number) = coverage.last?;
    let end = Lsn((number + 1).saturating_mul(manifest.wal_segment_bytes));
    (Some(end) > manifest.stop_lsn).then_some(end)
}

fn text(store: &Store, lines: &[Line], now: OffsetDateTime) -> String {
    if lines.is_empty() {
        return format!("no backups in {}; make one with: rowhouse backup create", store.place());
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "backup",
        "status",
        "kind",
        "age",
        "size",
        "stored",
        "verified",
        "drilled",
        "restores at least to",
        "label",
    ]);
    for Line { listed, coverage } in lines {
        let manifest = listed.manifest();
        let to = manifest.and_then(|manifest| reach(manifest, coverage.as_ref()?));
        let begun = manifest.map_or(listed.modified, |manifest| manifest.started_at);
        table.add_row([
            listed.id.to_string(),
            listed.condition.name().to_owned(),
            manifest.map(|manifest| manifest.kind.as_str()).unwrap_or_default().to_owned(),
            age(now - begun),
            manifest.map(|manifest| size(manifest.bytes())).unwrap_or_default(),
            size(listed.stored_bytes),
            record(listed.state.verified.as_ref(), "DAMAGED", now),
            record(listed.state.drilled.as_ref(), "FAILED", now),
            manifest.map(|manifest| reaches(manifest, to, coverage.as_ref())).unwrap_or_default(),
            manifest.map(|manifest| manifest.label.clone()).unwrap_or_default(),
        ]);
    }
    let unreadable = lines.iter().filter_map(|line| match &line.listed.condition {
        Condition::Unreadable(error) => Some(format!("\n{}: {error}", line.listed.id)),
        Condition::Good(_) | Condition::Incomplete => None,
    });
    format!("{table}{}", unreadable.collect::<String>())
}

/// The end of the whole segments, and when the store got them: pieces of the next one are not counted, and are restored as well. A dump
/// restores to its own moment.
fn reaches(manifest: &Manifest, to: Option<Lsn>, coverage: Option<&Coverage>) -> String {
    let moment = |time: OffsetDateTime| at(time.replace_nanosecond(0).unwrap_or(time)).unwrap_or_default();
    match (manifest.kind, to) {
        (BackupKind::Logical, _) => moment(manifest.started_at),
        (BackupKind::Physical, None) => String::new(),
        (BackupKind::Physical, Some(lsn)) => {
            let stored = coverage.and_then(|coverage| coverage.stored_at).map(moment);
            format!("{lsn}{}", stored.map(|at| format!(" ({at})")).unwrap_or_default())
        }
    }
}

fn record(record: Option<&Record>, bad: &str, now: OffsetDateTime) -> String {
    match record {
        None => "never".to_owned(),
        Some(record) if record.good => format!("{} ago", age(now - record.at)),
        Some(_) => bad.to_owned(),
    }
}

pub(super) fn age(span: time::Duration) -> String {
    match span.whole_minutes() {
        minutes if minutes < 60 => format!("{} min", minutes.max(0)),
        minutes if minutes < 48 * 60 => format!("{} h", minutes / 60),
        minutes => format!("{} d", minutes / (24 * 60)),
    }
}

pub(super) fn size(bytes: u64) -> String {
    let power = (0..UNITS.len() - 1).take_while(|power| bytes >= STEP.pow(*power as u32 + 1)).count();
    match power {
        0 => format!("{bytes} B"),
        _ => {
            let tenths = bytes.saturating_mul(10) / STEP.pow(power as u32);
            format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power])
        }
    }
}

fn at(time: OffsetDateTime) -> Option<String> {
    // Files have nanoseconds, which nobody can use.
    time.replace_millisecond(time.millisecond()).unwrap_or(time).format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1023, 1024, 1536, 5 << 20, (3 << 40) + (1 << 39)];
        assert_eq!(sizes.map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.5 TiB"]);
    }
}
