#![doc = include_str!("../README.md")]

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, DbError};
use rowhouse_http::ServiceKey;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Routes, operation};
use rowhouse_kernel::Origin;
use rowhouse_module::{Assembly, Module, ModuleFuture, Roles};
use schemars::JsonSchema;
use serde::Serialize;

/// `GET /admin/v1/about`.
#[derive(Debug, Clone, Copy)]
pub struct AboutModule;

impl Module for AboutModule {
    fn name(&self) -> &'static str {
        "about"
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let origin = &assembly.origin;
            let settings = &origin.settings;
            let environment = if settings.is_production() { "production" } else { "development" };
            let state =
                Process { control: origin.database.control.clone(), roles: origin.roles, environment };
            assembly.admin("/about", routes, state);
            Ok(())
        })
    }
}

/// What is known about the process at start.
#[derive(Clone)]
struct Process {
    control: Control,
    roles: Roles,
    environment: &'static str,
}

impl FromRef<Process> for Control {
    fn from_ref(process: &Process) -> Self {
        process.control.clone()
    }
}

/// The response.
#[derive(Debug, Serialize, JsonSchema)]
struct About {
    /// The program.
    name: &'static str,
    /// Its release.
    version: &'static str,
    /// `development` or `production`.
    environment: &'static str,
    /// What this process does: `api`, `worker`.
    roles: Vec<&'static str>,
    /// PostgreSQL's `server_version`.
    postgres: String,
}

fn routes() -> Routes<Process> {
    Routes::default().at("/", get_with(about, operation("getAbout", "Which program runs here", &[])))
}

async fn about(
    State(process): State<Process>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
) -> Result<Json<About>, Problem> {
    let ask = async |client: &tokio_postgres::Client| {
        let row = client.query_one("select current_setting('server_version')", &[]).await?;
        Ok::<String, DbError>(row.get(0))
    };
    let postgres = process.control.statement(&origin.operation("about.server"), ask).await?;
    let roles = [("api", process.roles.api), ("worker", process.roles.worker)];
    Ok(Json(About {
        name: "rowhouse",
        version: env!("CARGO_PKG_VERSION"),
        environment: process.environment,
        roles: roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect(),
        postgres,
    }))
}
