//! Version and configuration of the mailbox.

use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{Capture, CaptureResult};
use crate::capture::mailbox;

const VERSION: &str = concat!("rowhouse-", env!("CARGO_PKG_VERSION"));

pub(super) async fn info(State(capture): State<Capture>) -> CaptureResult {
    let totals = mailbox::totals(&capture.control).await?;
    let tags: Value = totals.tags.into_iter().map(|(tag, count)| (tag, Value::from(count))).collect();
    let document = json!({
        "Version": VERSION,
        "LatestVersion": VERSION,
        "Database": "postgresql",
        "DatabaseSize": totals.size,
        "Messages": totals.counts.total,
        "Unread": totals.counts.unread,
        "Tags": tags,
        "RuntimeStats": { "Uptime": capture.began.elapsed().as_secs() },
    });
    Ok(axum::Json(document).into_response())
}

/// The configuration that Mailpit's own page requests; every optional feature is off.
pub(super) async fn webui() -> CaptureResult {
    let document = json!({
        "Label": "Rowhouse",
        "MessageRelay": { "Enabled": false, "SMTPServer": "" },
        "SpamAssassin": false,
        "ChaosEnabled": false,
        "DuplicatesIgnored": false,
        "HideDeleteAllButton": false,
    });
    Ok(axum::Json(document).into_response())
}
