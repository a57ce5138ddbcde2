//! The report of a drill: JSON with a MAC by the server's backup key, and the same as a page.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use rowhouse_kernel::SharedRng;
use rowhouse_module::{CannotRun, CommandContext, Project};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::FOLDER;
use super::check::{Check, Verdict};
use crate::manifest::BackupId;
use crate::settings::BackupSettings;
use crate::store::ensure_server_key;

/// What was found and measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    pub(crate) backup: BackupId,
    /// Which key has opened it: `escrow` or `server`.
    pub(crate) key: String,
    pub(crate) is_good: bool,
    pub(crate) checks: Vec<Check>,
    /// By phase.
    pub(crate) seconds: BTreeMap<String, f64>,
    /// From the start to the last check.
    pub(crate) rto_seconds: f64,
    /// Between the cluster's last heartbeat and the restored one; null if one of them is unknown.
    pub(crate) rpo_seconds: Option<f64>,
    pub(crate) bytes: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) last_heartbeat: Option<OffsetDateTime>,
}

/// A report as it is stored.
#[derive(Serialize, Deserialize)]
struct Signed {
    report: Box<RawValue>,
    /// HMAC-SHA256 by a key derived from the server's backup key.
    mac: String,
}

/// Name of a drill by its time.
pub(super) fn name(at: OffsetDateTime) -> String {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    at.format(form).unwrap_or_else(|_| at.unix_timestamp().to_string())
}

impl Report {
    /// Writes both files.
    pub(super) fn save(&self, context: &CommandContext) -> Result<(), CannotRun> {
        let report = serde_json::value::to_raw_value(self)?;
        let settings = context.settings()?.get::<BackupSettings>();
        let key = key(&context.project, &settings, &context.rng)?;
        let mac = HEXLOWER.encode(hmac::sign(&key, report.get().as_bytes()).as_ref());
        let (project, file) = (&context.project, format!("{FOLDER}/{}", self.id));
        project.write_private(&format!("{file}.json"), &serde_json::to_vec(&Signed { report, mac })?)?;
        project.write_private(&format!("{file}.html"), self.page().as_bytes())?;
        Ok(())
    }

    /// A page without scripts and without anything from elsewhere.
    fn page(&self) -> String {
        let row = |cells: [&str; 3]| {
            let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let checks: String = self
            .checks
            .iter()
            .map(|check| row([&check.name, verdict(check.verdict), &check.detail]))
            .collect();
        let phases: String =
            self.seconds.iter().map(|(name, seconds)| row([name, &format!("{seconds:.2} s"), ""])).collect();
        let rpo = self.rpo_seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.1} s"));
        format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Drill {id}</title>\n\
             <style>body{{font:16px sans-serif;margin:2em}}td,th{{padding:.3em 1em;text-align:left;border-bottom:1px solid #ccc}}</style>\n\
             <h1>Drill {id}: {verdict}</h1>\n\
             <p>Backup {backup}, opened with the {key} key, {mib} MiB. Restored and checked in {rto:.1} s; {rpo} were lost.</p>\n\
             <table><tr><th>check</th><th>verdict</th><th>detail</th></tr>\n{checks}</table>\n\
             <h2>Phases</h2>\n<table>{phases}</table>\n</html>\n",
            id = escape(&self.id),
            verdict = if self.is_good { "good" } else { "failed" },
            backup = escape(self.backup.as_str()),
            key = escape(&self.key),
            mib = self.bytes >> 20,
            rto = self.rto_seconds,
        )
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let lines = self
            .checks
            .iter()
            .map(|check| format!("{:<15} {:<12} {}", check.name, verdict(check.verdict), check.detail));
        let rpo = self.rpo_seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.1} s"));
        let last = format!(
            "{} {}: backup {}, restored and checked in {:.1} s, lost: {rpo}\nreport: .rowhouse/{FOLDER}/{}.html",
            self.started_at.format(&Rfc3339).unwrap_or_default(),
            if self.is_good { "good" } else { "failed" },
            self.backup,
            self.rto_seconds,
            self.id
        );
        lines.chain([last]).collect::<Vec<_>>().join("\n")
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Bad => "failed",
        Verdict::Unavailable => "unavailable",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// All reports, the newest first, each with whether its MAC is right.
pub(crate) fn reports(
    project: &Project,
    settings: &BackupSettings,
    rng: &SharedRng,
) -> Result<Vec<(Report, bool)>, CannotRun> {
    let folder = project.private(FOLDER);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
    let files =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
    let mut files: Vec<_> = files.collect();
    files.sort();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let key = key(project, settings, rng)?;
    let read = |path: &std::path::PathBuf| {
        let signed: Signed = serde_json::from_slice(&std::fs::read(path)?)?;
        let mac = HEXLOWER.decode(signed.mac.as_bytes()).unwrap_or_default();
        let is_signed = hmac::verify(&key, signed.report.get().as_bytes(), &mac).is_ok();
        Ok::<_, CannotRun>((serde_json::from_str(signed.report.get())?, is_signed))
    };
    files.iter().rev().map(read).collect()
}

fn key(project: &Project, settings: &BackupSettings, rng: &SharedRng) -> Result<hmac::Key, CannotRun> {
    let identity = ensure_server_key(settings, project, rng)?;
    let outer = hmac::Key::new(hmac::HMAC_SHA256, identity.expose().as_bytes());
    let derived = hmac::sign(&outer, b"rowhouse/drill/1");
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{escape, name};
    use time::macros::datetime;

    #[test]
    fn drills_are_named_by_their_time_and_texts_are_escaped() {
        assert_eq!(name(datetime!(2026-11-28 02:03:04 UTC)), "20261128T020304Z");
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
