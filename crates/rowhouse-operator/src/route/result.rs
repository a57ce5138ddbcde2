//! `/admin/v1/bulk-jobs/{job}/results`: the file, read in pages as fast as the client takes them. Between two pages no
//! connection is held. Second factor and entry of the audit log come first, as for an export of one user.

use std::io;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation as DescribedOperation, Response as Described, SchemaObject};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header;
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_http::api::{Params, Problem, Segment};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::OperatorAdmin;
use crate::flow::bulk as flow;
use crate::flow::operation;
use crate::power::{Help, Operating, require_assurance};
use crate::result_file::ResultFormat;
use crate::store::bulk as store;

/// Items of a page; with an export each may have some kilobytes.
const PAGE: i64 = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultQuery {
    /// `ndjson` if not given.
    format: Option<ResultFormat>,
}

/// The file.
pub(super) struct ResultFile {
    job: Uuid,
    format: ResultFormat,
    body: Body,
}

impl IntoResponse for ResultFile {
    fn into_response(self) -> Response {
        let file = format!("attachment; filename=\"bulk-{}.{}\"", self.job, self.format.extension());
        let headers = [
            (header::CONTENT_TYPE, self.format.media_type().to_owned()),
            (header::CONTENT_DISPOSITION, file),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        (headers, self.body).into_response()
    }
}

impl OperationOutput for ResultFile {
    type Inner = Self;

    fn operation_response(_: &mut GenContext, _: &mut DescribedOperation) -> Option<Described> {
        let text = || {
            let json_schema = schemars::json_schema!({ "description": "Whole lines" });
            let schema = SchemaObject { json_schema, example: None, external_docs: None };
            MediaType { schema: Some(schema), ..MediaType::default() }
        };
        Some(Described {
            description: "A line for each user; those that are pending have no outcome yet".to_owned(),
            content: ["application/x-ndjson", "text/csv"]
                .map(|media| (media.to_owned(), text()))
                .into_iter()
                .collect(),
            ..Described::default()
        })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut DescribedOperation,
    ) -> Vec<(Option<u16>, Described)> {
        let described = Self::operation_response(context, operation);
        described.map(|response| (Some(200), response)).into_iter().collect()
    }
}

pub(super) async fn download(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    Segment(job): Segment<Uuid>,
    Params(query): Params<ResultQuery>,
) -> Result<ResultFile, Problem> {
    let aal = operator.bulk_aal;
    let note = async move |tx: &Transaction<'_>| {
        require_assurance(tx, &caller, aal).await?;
        Ok::<_, Problem>(flow::note_results(tx, job).await?)
    };
    operator.control.run_tx(&operation(&origin, "operators.note_results"), note).await?;
    let format = query.format.unwrap_or_default();
    let source = Source { control: operator.control, origin, job, format };
    Ok(ResultFile { job, format, body: source.body() })
}

/// Where the pages come from.
struct Source {
    control: Control,
    origin: Origin,
    job: Uuid,
    format: ResultFormat,
}

impl Source {
    fn body(self) -> Body {
        Body::from_stream(stream::try_unfold((self, Some(0)), |(source, after)| async move {
            let Some(after) = after else { return Ok::<_, io::Error>(None) };
            let (lines, next) = source.page(after).await.map_err(io::Error::other)?;
            Ok(Some((Bytes::from(lines), (source, next))))
        }))
    }

    /// The lines behind an item, and where the next page begins.
    async fn page(&self, after: i32) -> Result<(String, Option<i32>), DbError> {
        let job = self.job;
        let read = async move |client: &Client| store::items(client, job, after, PAGE).await;
        let items = self.control.statement(&self.origin.operation("operators.read_results"), read).await?;
        let is_last = (items.len() as i64) < PAGE;
        let next = items.last().filter(|_| !is_last).map(|item| item.number);
        Ok((self.format.lines(&items, after == 0), next))
    }
}
