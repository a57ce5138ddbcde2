//! Listing and changing tags.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use rowhouse_db::Control;
use serde::Deserialize;

use super::{CaptureError, CaptureResult, caller, ok};
use crate::capture::mailbox;
use crate::tag;

pub(super) async fn list(State(control): State<Control>) -> CaptureResult {
    let totals = mailbox::totals(&control).await?;
    let tags: Vec<String> = totals.tags.into_iter().map(|(tag, _)| tag).collect();
    Ok(axum::Json(tags).into_response())
}

#[derive(Debug, Deserialize)]
struct Tagged {
    #[serde(rename = "IDs")]
    ids: Vec<String>,
    #[serde(rename = "Tags", default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Renamed {
    #[serde(rename = "Name")]
    name: String,
}

fn read<T: for<'d> Deserialize<'d>>(body: &Bytes) -> Result<T, CaptureError> {
    serde_json::from_slice(body).map_err(|error| CaptureError::Caller(error.to_string()))
}

pub(super) async fn set(State(control): State<Control>, body: Bytes) -> CaptureResult {
    let tagged: Tagged = read(&body)?;
    if tagged.tags.len() > tag::MOST_TAGS {
        return Err(caller("Tags: too many"));
    }
    let tags: Option<Vec<String>> = tagged.tags.iter().map(tag::read).collect();
    let tags = tags.ok_or_else(|| caller("Tags: a tag has characters that are not allowed"))?;
    let ids = tagged.ids.iter().map(|id| id.parse().unwrap_or(-1)).collect();
    mailbox::set_tags(&control, ids, tags).await?;
    Ok(ok())
}

pub(super) async fn rename(
    State(control): State<Control>,
    Path(old): Path<String>,
    body: Bytes,
) -> CaptureResult {
    let renamed: Renamed = read(&body)?;
    let new = tag::read(&renamed.name).ok_or_else(|| caller("Name: has characters that are not allowed"))?;
    mailbox::replace_tag(&control, old, Some(new)).await?;
    Ok(ok())
}

pub(super) async fn remove(State(control): State<Control>, Path(old): Path<String>) -> CaptureResult {
    mailbox::replace_tag(&control, old, None).await?;
    Ok(ok())
}
