//! `GET /admin/v1/users/{user}/export`: everything about a user as lines of JSON.

use std::io::{Error, ErrorKind, Write};

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation as Described, Response as DescribedResponse, SchemaObject};
use axum::extract::{Extension, FromRef, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Routes, Segment, operation};
use rowhouse_kernel::Origin;
use rowhouse_tenancy::lines::{self, LinesError};
use rowhouse_tenancy::permission::{Permission, Scope, require};
use tokio_postgres::Client;
use uuid::Uuid;

use super::store;

/// Most bytes of an answer, which is held in memory; what is more is exported on the command line.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// State of the route.
#[derive(Clone)]
pub(crate) struct PrivacyAdmin {
    pub(crate) control: Control,
}

impl FromRef<PrivacyAdmin> for Control {
    fn from_ref(admin: &PrivacyAdmin) -> Self {
        admin.control.clone()
    }
}

/// The path below `/admin/v1/users`.
pub(crate) fn routes() -> Routes<PrivacyAdmin> {
    let exported = operation(
        "exportUser",
        "Everything that is stored about a user; for operators with super_admin and the service key",
        &[400, 404, 422],
    );
    Routes::default().at("/{user}/export", get_with(export, exported))
}

/// Lines of JSON.
struct Lines(Uuid, Vec<u8>);

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"user-{}.ndjson\"", self.0)),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        (headers, self.1).into_response()
    }
}

impl OperationOutput for Lines {
    type Inner = Self;

    fn operation_response(_: &mut GenContext, _: &mut Described) -> Option<DescribedResponse> {
        let json_schema = schemars::json_schema!({ "description": "Whole lines" });
        let schema = SchemaObject { json_schema, example: None, external_docs: None };
        let media = MediaType { schema: Some(schema), ..MediaType::default() };
        Some(DescribedResponse {
            description: "A row in each line; the first says what it is, the last how many rows there are"
                .to_owned(),
            content: [("application/x-ndjson".to_owned(), media)].into_iter().collect(),
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

async fn export(
    State(admin): State<PrivacyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(user): Segment<Uuid>,
) -> Result<Lines, Problem> {
    let note = async move |tx: &Transaction<'_>| {
        require(tx, &caller, Scope::Installation, Permission::MembersManage).await?;
        if store::find_user(tx, &user.to_string()).await?.is_none() {
            return Err(Problem::not_found("there is no such user"));
        }
        Ok::<_, Problem>(store::note_export(tx, user).await?)
    };
    admin.control.run_tx(&origin.operation("operators.note_export"), note).await?;
    let write = async move |client: &Client| {
        let mut out = Bounded(Vec::new());
        lines::write(client, ("user", user), store::EXPORT, &mut out).await.map_err(broken)?;
        Ok::<_, Problem>(out.0)
    };
    let text = admin.control.statement(&origin.operation("operators.export_user"), write).await?;
    Ok(Lines(user, text))
}

fn broken(error: LinesError) -> Problem {
    match error {
        LinesError::Db(error) => error.into(),
        LinesError::Output(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too_large",
            "more than 16 MiB are stored about this user: use `rowhouse users export`",
        ),
    }
}

/// Memory up to [`MAX_BYTES`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + text.len() > MAX_BYTES {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        self.0.write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
