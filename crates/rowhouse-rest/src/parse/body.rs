//! Parses the request body as far as possible without the schema.

use std::borrow::Cow;

use bytes::Bytes;

use super::json::{Fault, Outer, scan};
use super::{RequestError, csv, pair};
use crate::request::{Action, CallMethod, Media, Mutation, Payload, Shape};
use crate::settings::RestSettings;

const INVALID: RequestError = RequestError::Body(Cow::Borrowed("Empty or invalid json"));

/// Reads the body of a request that has one. With `columns` the keys are taken from there and not compared.
pub(super) fn parse(
    body: &Bytes,
    content_type: &Media,
    columns: Option<&[String]>,
    action: &Action,
    settings: &RestSettings,
) -> Result<Option<Payload>, RequestError> {
    let is_call = match action {
        Action::Call { method: CallMethod::Post, .. } => true,
        Action::Write { mutation: Mutation::Insert | Mutation::Update | Mutation::Replace, .. } => false,
        _ => return Ok(None),
    };
    match (content_type, is_call) {
        (Media::Json, _) => {
            let text = if is_call && body.is_empty() { Bytes::from_static(b"{}") } else { body.clone() };
            json(text, columns, settings).map(Some)
        }
        (Media::Ndjson, _) if matches!(action, Action::Write { mutation: Mutation::Insert, .. }) => {
            json(body.clone(), columns, settings).map(Some)
        }
        (Media::Csv, _) => csv(body, columns).map(Some),
        (Media::Form, true) => form(body).map(|pairs| Some(Payload::Form(pairs))),
        (Media::Form, false) => form_as_json(body).map(Some),
        (Media::Text | Media::Xml, true) => text(body).map(Some),
        (Media::Binary, true) => Ok(Some(Payload::Raw(body.clone()))),
        (other, _) => {
            Err(RequestError::Body(format!("Content-Type not acceptable: {}", other.name()).into()))
        }
    }
}

fn json(text: Bytes, columns: Option<&[String]>, settings: &RestSettings) -> Result<Payload, RequestError> {
    let scan = scan(&text, settings.max_json_depth as usize).map_err(|fault| match fault {
        Fault::Invalid => INVALID,
        Fault::TooDeep => RequestError::Body("JSON is nested too deeply".into()),
    })?;
    let shape = if scan.outer == Outer::Object { Shape::Object } else { Shape::Array };
    if let Some(columns) = columns {
        let mut keys = columns.to_vec();
        keys.sort_unstable();
        keys.dedup();
        return Ok(Payload::Json { text, shape, keys, is_text: false });
    }
    if scan.outer == Outer::Scalar {
        return Ok(Payload::Json {
            text: Bytes::from_static(b"[]"),
            shape,
            keys: Vec::new(),
            is_text: false,
        });
    }
    if !scan.uniform {
        return Err(RequestError::Body("All object keys must match".into()));
    }
    Ok(Payload::Json { text, shape, keys: scan.keys, is_text: false })
}

fn csv(body: &Bytes, columns: Option<&[String]>) -> Result<Payload, RequestError> {
    let text = std::str::from_utf8(body).map_err(|_| RequestError::Body("Body is not valid text".into()))?;
    let (text, mut keys) = csv::to_json(text).map_err(|error| RequestError::Body(error.into()))?;
    if let Some(columns) = columns {
        keys = columns.to_vec();
        keys.sort_unstable();
        keys.dedup();
    }
    Ok(Payload::Json { text: text.into(), shape: Shape::Array, keys, is_text: true })
}

fn form(body: &Bytes) -> Result<Vec<(String, String)>, RequestError> {
    let wrong = || RequestError::Body("Invalid form".into());
    let text = std::str::from_utf8(body).map_err(|_| wrong())?;
    let decode = |part: &str| pair::decode(part).map(Cow::into_owned).map_err(|_| wrong());
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

/// A form for a table is an object of texts.
fn form_as_json(body: &Bytes) -> Result<Payload, RequestError> {
    let row: std::collections::BTreeMap<String, String> = form(body)?.into_iter().collect();
    let text = serde_json::to_vec(&row).map_err(|_| INVALID)?;
    let keys = row.into_keys().collect();
    Ok(Payload::Json { text: text.into(), shape: Shape::Object, keys, is_text: true })
}

fn text(body: &Bytes) -> Result<Payload, RequestError> {
    let fine = std::str::from_utf8(body).is_ok() && memchr::memchr(0, body).is_none();
    if fine {
        Ok(Payload::Raw(body.clone()))
    } else {
        Err(RequestError::Body("Body is not valid text".into()))
    }
}
