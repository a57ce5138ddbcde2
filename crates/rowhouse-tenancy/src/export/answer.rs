//! An export as an answer over HTTP: lines of JSON, or an archive for `Accept: application/zip`. An archive is written to a file
//! without a name first, so that an export that fails is an error, and a slow client holds no connection.

use std::fs::File;
use std::io::{Error, ErrorKind, Seek, Write};

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation as Described, Response as DescribedResponse, SchemaObject};
use aide::{OperationInput, OperationOutput};
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use rowhouse_db::Control;
use rowhouse_http::api::Problem;
use rowhouse_kernel::Operation;
use tokio::io::AsyncReadExt;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{ExportError, Stamp, Subject, archive, lines};
use crate::slot::{Slot, Slots};

/// Most bytes of lines as an answer, which is held in memory.
const MOST_LINES: usize = 16 * 1024 * 1024;
/// Most bytes of lines in an archive, before they are compressed.
const MOST_IN_ARCHIVE: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of a file that are read at a time.
const CHUNK: usize = 64 * 1024;
/// Exports at once: each holds a connection of the control plane while it reads.
const AT_ONCE: usize = 2;

const LINES: &str = "application/x-ndjson";
const ARCHIVE: &str = "application/zip";

/// The places of exports in this process.
#[derive(Clone)]
pub struct Exports(Slots);

impl Default for Exports {
    fn default() -> Self {
        Self(Slots::new(1, AT_ONCE))
    }
}

impl Exports {
    /// A place for an export of this user or tenant.
    ///
    /// # Errors
    /// 429 if it is being exported already, or too many others are.
    pub fn take(&self, id: Uuid) -> Result<Slot, Problem> {
        self.0.take(Some(id))
    }
}

/// Extractor: in which form an export is asked for, by `Accept`. Whoever does not name the archive gets lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// NDJSON.
    Lines,
    /// ZIP.
    Archive,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepted.flat_map(|value| value.split(',')).any(names_archive) {
            true => Self::Archive,
            false => Self::Lines,
        }
    }
}

/// Whether a range of `Accept` is the archive's type, and not with the weight 0 (RFC 9110 section 12.4.2).
fn names_archive(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(ARCHIVE));
    let refuses = |parameter: &str| {
        let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
        weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
    };
    is_named && !parts.any(refuses)
}

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// OpenAPI describes `Accept` by the types of the answer.
impl OperationInput for Form {}

/// An export.
pub struct Exported {
    subject: Subject,
    form: Form,
    length: u64,
    body: Body,
}

/// Reads the export. The slot is given back when it is read; what is left is sent from a file or from memory.
///
/// # Errors
/// 422 `too_large`, and the database's.
pub async fn answer(
    control: &Control,
    operation: &Operation,
    (subject, form): (Subject, Form),
    slot: Slot,
) -> Result<Exported, Problem> {
    let stamp = Stamp::from(&operation.origin);
    let exported = match form {
        Form::Lines => {
            let write = async move |client: &Client| {
                let mut out = Bounded(Vec::new());
                lines::write(client, subject, &mut out).await.map_err(refused)?;
                Ok::<_, Problem>(out.0)
            };
            let text = control.statement(operation, write).await?;
            Exported { subject, form, length: text.len() as u64, body: text.into() }
        }
        Form::Archive => {
            let write = async move |client: &Client| {
                let file = tempfile::tempfile().map_err(ExportError::from).map_err(refused)?;
                let about = (subject, stamp.clone());
                let written = archive::write(client, about, file, MOST_IN_ARCHIVE).await;
                Ok::<_, Problem>(written.map_err(refused)?.0)
            };
            let file = control.statement(operation, write).await?;
            let (length, body) = sent(file).map_err(ExportError::from).map_err(refused)?;
            Exported { subject, form, length, body }
        }
    };
    drop(slot);
    Ok(exported)
}

/// A file from its beginning.
fn sent(mut file: File) -> Result<(u64, Body), Error> {
    file.rewind()?;
    let length = file.metadata()?.len();
    let file = tokio::fs::File::from_std(file);
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok::<_, Error>((count > 0).then(|| (Bytes::from(chunk), file)))
    });
    Ok((length, Body::from_stream(chunks)))
}

fn refused(error: ExportError) -> Problem {
    match error {
        ExportError::Db(error) => error.into(),
        ExportError::Output(error) if error.kind() == ErrorKind::FileTooLarge => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too_large",
            "too much for an answer of this kind: ask for application/zip, or export on the command line",
        ),
        ExportError::Output(error) => {
            tracing::error!(%error, "an export could not be written to a temporary file");
            Problem::internal()
        }
    }
}

/// Memory up to [`MOST_LINES`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + text.len() > MOST_LINES {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        self.0.write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl IntoResponse for Exported {
    fn into_response(self) -> Response {
        let (media, extension) = match self.form {
            Form::Lines => (LINES, "ndjson"),
            Form::Archive => (ARCHIVE, "zip"),
        };
        let name = format!("attachment; filename=\"{}-{}.{extension}\"", self.subject.what, self.subject.id);
        let headers = [
            (header::CONTENT_TYPE, media.to_owned()),
            (header::CONTENT_LENGTH, self.length.to_string()),
            (header::CONTENT_DISPOSITION, name),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::VARY, "accept".to_owned()),
        ];
        (headers, self.body).into_response()
    }
}

impl OperationOutput for Exported {
    type Inner = Self;

    fn operation_response(_: &mut GenContext, _: &mut Described) -> Option<DescribedResponse> {
        let media = |what: &str| {
            let json_schema = schemars::json_schema!({ "description": what });
            let schema = SchemaObject { json_schema, example: None, external_docs: None };
            MediaType { schema: Some(schema), ..MediaType::default() }
        };
        let lines = "A row in each line; the first says what it is, the last how many rows there are";
        let archive = "A file of such lines for each table, and manifest.json with their rows and SHA-256";
        Some(DescribedResponse {
            description: "Everything, as lines of JSON, or as an archive with Accept: application/zip"
                .to_owned(),
            content: [(LINES.to_owned(), media(lines)), (ARCHIVE.to_owned(), media(archive))]
                .into_iter()
                .collect(),
            ..DescribedResponse::default()
        })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Described,
    ) -> Vec<(Option<u16>, DescribedResponse)> {
        let described = Self::operation_response(context, operation);
        described.map(|response| (Some(200), response)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_for_those_who_name_it() {
        let of = |accept: &'static str| {
            Form::of(&[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect())
        };
        for accept in ["application/zip", "text/html, Application/ZIP;q=0.5", "application/zip ; q=1"] {
            assert_eq!(of(accept), Form::Archive, "{accept}");
        }
        for accept in
            ["*/*", "application/*", "application/x-ndjson", "application/zip;q=0", "application/zipx"]
        {
            assert_eq!(of(accept), Form::Lines, "{accept}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Lines);
    }
}
