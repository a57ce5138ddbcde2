//! An export: permission and entry of the audit log first, then pieces as fast as the client reads them. Between two pieces
//! no connection is held, and before each the permission is looked up again.

use std::io;
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation as DescribedOperation, Response as Described, SchemaObject};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header;
use rowhouse_audit::{Entry, Filter, Format, Piece, Position, piece};
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::Problem;
use rowhouse_kernel::Origin;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::Client;
use tracing::Instrument;

use super::AuditAdmin;
use super::query::AuditExportQuery;
use crate::permission::{Permission, Scope, require};
use crate::slot::Slot;

/// A client that reads nothing for this long is cut off.
const STALL: Duration = Duration::from_secs(60);

/// An export under way.
pub(super) struct Exported {
    body: Body,
    format: Format,
    name: String,
}

impl IntoResponse for Exported {
    fn into_response(self) -> Response {
        let file = format!("attachment; filename=\"{}.{}\"", self.name, self.format.extension());
        let headers = [
            (header::CONTENT_TYPE, self.format.media_type().to_owned()),
            (header::CONTENT_DISPOSITION, file),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        (headers, self.body).into_response()
    }
}

impl OperationOutput for Exported {
    type Inner = Self;

    fn operation_response(_: &mut GenContext, _: &mut DescribedOperation) -> Option<Described> {
        let text = || {
            let json_schema = schemars::json_schema!({ "description": "Whole lines" });
            let schema = SchemaObject { json_schema, example: None, external_docs: None };
            MediaType { schema: Some(schema), ..MediaType::default() }
        };
        let media = ["application/x-ndjson", "text/csv"];
        Some(Described {
            description: "Newest entries first; a response without its end was cut off".to_owned(),
            content: media.map(|media| (media.to_owned(), text())).into_iter().collect(),
            ..Described::default()
        })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut DescribedOperation,
    ) -> Vec<(Option<u16>, Described)> {
        Self::operation_response(context, operation)
            .map(|response| (Some(200), response))
            .into_iter()
            .collect()
    }
}

/// Notes the export in the audit log and begins it.
pub(super) async fn begin(
    audit: &AuditAdmin,
    caller: LiveCaller,
    origin: Origin,
    scope: Scope,
    query: &AuditExportQuery,
) -> Result<Exported, Problem> {
    let (filter, format) = (query.filter(scope)?, query.format.unwrap_or_default());
    let of = scope_of(scope);
    let (asking, noted, slots) = (caller.clone(), filter.clone(), audit.slots.clone());
    let admit = async move |tx: &Transaction<'_>| {
        require(tx, &asking, scope, Permission::IdentityAudit).await?;
        let slot = slots.take(of)?;
        note(tx, scope, &noted, format).await?;
        Ok::<_, Problem>(slot)
    };
    let slot = audit.control.run_tx(&origin.operation("tenancy.export_audit"), admit).await?;
    let name = of.map_or_else(|| "audit".to_owned(), |of| format!("audit-{of}"));
    let source = Source { control: audit.control.clone(), caller, origin, scope, filter, format };
    Ok(Exported { body: body(source, slot), format, name })
}

fn scope_of(scope: Scope) -> Option<uuid::Uuid> {
    match scope {
        Scope::Organization(id) => Some(id.0),
        _ => None,
    }
}

async fn note(tx: &Transaction<'_>, scope: Scope, filter: &Filter, format: Format) -> Result<(), Problem> {
    let of = scope_of(scope).map_or_else(|| "all".to_owned(), |of| of.to_string());
    let entry = Entry {
        source: "tenancy",
        action: "audit_exported",
        target_kind: "audit_log",
        target_id: &of,
        tenant: None,
        details: described(filter, format),
    };
    match scope {
        Scope::Organization(id) => rowhouse_audit::write_about(tx, id, entry).await?,
        _ => rowhouse_audit::write(tx, entry).await?,
    };
    Ok(())
}

/// What was asked for. The texts may be as long as a URL; a hundred characters tell what they are.
fn described(filter: &Filter, format: Format) -> Map<String, Value> {
    let time = |time: Option<time::OffsetDateTime>| time.and_then(|time| time.format(&Rfc3339).ok());
    let short = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(100).collect::<String>());
    let all = json!({
        "format": format.extension(),
        "since": time(filter.since),
        "until": time(filter.until),
        "actor": short(&filter.actor),
        "action": short(&filter.action),
        "organization": filter.organization,
        "tenant": filter.tenant,
        "target_kind": short(&filter.target_kind),
        "target_id": short(&filter.target_id),
    });
    let all = all.as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// Where the pieces come from.
struct Source {
    control: Control,
    caller: LiveCaller,
    origin: Origin,
    scope: Scope,
    filter: Filter,
    format: Format,
}

impl Source {
    async fn piece(&self, after: Option<&Position>) -> Result<Piece, Problem> {
        let (caller, filter, after) = (self.caller.clone(), self.filter.clone(), after.copied());
        let (scope, format) = (self.scope, self.format);
        let read = async move |client: &Client| {
            require(client, &caller, scope, Permission::IdentityAudit).await?;
            Ok::<_, Problem>(piece(client, &filter, format, after.as_ref()).await?)
        };
        self.control.statement(&self.origin.operation("tenancy.read_audit"), read).await
    }
}

/// A message to the client; a stream that closes without `End` was cut off.
enum Message {
    Piece(Bytes),
    End,
}

fn body(source: Source, slot: Slot) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let pump = async move {
        if let Err(why) = pump(&source, &sender).await {
            tracing::warn!(why, "an export of the audit log was cut off");
        }
        drop(slot);
    };
    tokio::spawn(pump.in_current_span());
    Body::from_stream(stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Message::Piece(piece)) => Some((Ok(piece), Some(receiver))),
            Some(Message::End) => None,
            None => Some((Err(io::Error::other("the export was cut off")), None)),
        }
    }))
}

async fn pump(source: &Source, sender: &mpsc::Sender<Message>) -> Result<(), String> {
    let mut after = None;
    loop {
        let piece = source.piece(after.as_ref()).await.map_err(|problem| why(&problem))?;
        send(sender, Message::Piece(piece.text.into())).await?;
        match piece.next {
            Some(next) => after = Some(next),
            None => return send(sender, Message::End).await,
        }
    }
}

fn why(problem: &Problem) -> String {
    use rowhouse_db::TransactionError as _;
    problem.database().map_or_else(|| problem.detail.clone(), DbError::to_string)
}

async fn send(sender: &mpsc::Sender<Message>, message: Message) -> Result<(), String> {
    match timeout(STALL, sender.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the client has left".to_owned()),
        Err(_) => Err(format!("the client has read nothing for {STALL:?}")),
    }
}
