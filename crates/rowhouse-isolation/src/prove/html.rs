//! The matrix as a page: a table of coloured cells in one file. Leaves the document to `prove`.

use std::fmt::Write as _;

use super::cell::Cell;
use super::proof::{Mark, Proof};

const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:2rem;color:#1b1f24}h1{font-size:1.4rem}table{border-collapse:collapse}\
th{font-weight:500;text-align:left;padding:.15rem .5rem;white-space:nowrap}thead th{writing-mode:vertical-rl;vertical-align:bottom;padding:.5rem .15rem}\
td{width:1.4rem;height:1.2rem;border:1px solid #fff;text-align:center;font-size:.7rem}td.leak{background:#c62828;color:#fff}td.held{background:#2e7d32}\
td.control{background:#a5d6a7}td.unproven{background:#f9a825}td.closed{background:#e0e0e0}code{white-space:pre-wrap}li{margin:.5rem 0}";

/// A page that needs nothing else.
#[must_use]
pub fn page(proof: &Proof) -> String {
    let verdict = if proof.passes() { "pass" } else { "fail" };
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Isolation: {verdict}</title><style>{STYLE}</style></head><body>\n\
         <h1>Isolation: {verdict}</h1>\n<p>{} leaks, {} unproven, {} of {} relations proven by {} statements of {} kinds of callers. Schema <code>{}</code>.</p>\n",
        proof.leaks.len(),
        proof.unproven.len(),
        proof.coverage.proven,
        proof.coverage.relations,
        proof.coverage.probes,
        proof.coverage.actors,
        escaped(&proof.fingerprint)
    );
    matrix(&mut text, proof);
    list(
        &mut text,
        "Leaks",
        proof.leaks.iter().map(|leak| {
            format!(
                "<b>{}</b>, {}: {}<br><code>{}</code><br>{}",
                escaped(&leak.relation),
                escaped(&leak.actor),
                escaped(&leak.detail),
                escaped(&leak.statement),
                escaped(&leak.remedy)
            )
        }),
    );
    list(
        &mut text,
        "Unproven",
        proof.unproven.iter().map(|unproven| {
            let declared = unproven
                .declared
                .as_ref()
                .map(|reason| format!(" (accepted: {})", escaped(reason)))
                .unwrap_or_default();
            let cell = unproven.cell.map(|cell| format!(", {}", cell.as_str())).unwrap_or_default();
            format!("<b>{}</b>{cell}: {}{declared}", escaped(&unproven.relation), escaped(&unproven.reason))
        }),
    );
    list(
        &mut text,
        "Notes",
        proof.notes.iter().map(|note| {
            format!("<b>{}</b>, {}: {}", escaped(&note.relation), note.kind, escaped(&note.detail))
        }),
    );
    text + "</body></html>\n"
}

fn matrix(text: &mut String, proof: &Proof) {
    text.push_str("<table><thead><tr><th>relation</th><th>caller</th>");
    let is_tried = |cell: &Cell| proof.matrix.iter().any(|line| line.cells.contains_key(cell));
    let tried: Vec<Cell> = Cell::ALL.into_iter().filter(is_tried).collect();
    text.extend(tried.iter().map(|cell| format!("<th>{}</th>", cell.as_str())));
    text.push_str("</tr></thead><tbody>\n");
    for line in &proof.matrix {
        let _ = write!(text, "<tr><th>{}</th><th>{}</th>", escaped(&line.relation), escaped(&line.actor));
        for cell in &tried {
            match line.cells.get(cell) {
                Some(mark) => {
                    let (name, letter) = (mark.as_str(), letter(*mark));
                    let _ = write!(
                        text,
                        "<td class=\"{name}\" title=\"{}: {name}\">{letter}</td>",
                        cell.as_str()
                    );
                }
                None => text.push_str("<td></td>"),
            }
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>\n<p>Red (L): got through. Dark green (h): refused, while the owner of the row succeeded. Light green (c): the owner's success. Yellow (?): nothing is known. Grey (–): no grant or policy for it.</p>\n");
}

/// For those who do not see the colours.
fn letter(mark: Mark) -> &'static str {
    match mark {
        Mark::Leak => "L",
        Mark::Held => "h",
        Mark::Control => "c",
        Mark::Unproven => "?",
        Mark::Closed => "–",
    }
}

fn list(text: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if !items.is_empty() {
        let _ = write!(text, "<h2>{title}</h2>\n<ul>\n{}</ul>\n", items.concat());
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
