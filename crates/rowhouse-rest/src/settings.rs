//! `[rest]`: the data API.

mod app_settings;

use std::collections::BTreeMap;
use std::time::Duration;

use rowhouse_db::DefaultGrants;
use rowhouse_kernel::settings::{Check, Findings, Translation};
use rowhouse_kernel::{ANON, SERVICE_ROLE, settings, words};

use crate::postgrest;
pub use app_settings::AppSettings;

words! {
    /// What the root describes.
    pub enum OpenapiMode {
        /// What the caller may use.
        FollowPrivileges = "follow-privileges",
        /// Everything that is served.
        IgnorePrivileges = "ignore-privileges",
        /// Nothing.
        Disabled = "disabled",
    }
}

words! {
    /// How a request's transaction ends.
    pub enum TxEnd {
        /// Always kept.
        Commit = "commit",
        /// Kept, unless the client sends `Prefer: tx=rollback`.
        CommitAllowOverride = "commit-allow-override",
        /// Always undone.
        Rollback = "rollback",
        /// Undone, unless the client sends `Prefer: tx=commit`.
        RollbackAllowOverride = "rollback-allow-override",
    }
}

words! {
    /// How much a failure tells the client.
    pub enum ErrorVerbosity {
        /// `code`, `message`, `details` and `hint`.
        Verbose = "verbose",
        /// `code` and `message` only.
        Minimal = "minimal",
    }
}

settings! {
    /// The data API under `/rest/v1`.
    pub struct RestSettings in "rest" {
        /// Schemas served; the first is the default.
        pub schemas: Vec<String> = vec!["public".to_owned()],
        /// Most rows that one response carries; unset: no limit.
        pub max_rows: Option<u64> as "rows" = None,
        /// Default privileges on the project's new tables: `none`, or `supabase` for its wide grants.
        pub default_grants: DefaultGrants = DefaultGrants::None,
        /// Largest request body in bytes.
        pub max_body_bytes: u64 as "bytes" = 52_428_800,
        /// Largest `application/x-ndjson` body in bytes; it is taken in as it arrives and never held as a whole.
        pub max_import_bytes: u64 as "bytes" = 17_179_869_184,
        /// How long one streamed result or import may take.
        pub stream_timeout: Duration = Duration::from_secs(3600),
        /// How long the client of a streamed result may take in nothing, or that of an import send nothing, before it is cut off.
        pub stall_timeout: Duration = Duration::from_secs(30),
        /// Bytes a second, averaged over each minute spent waiting for the client, that an import must send; a slower one is refused with 408. Zero: no limit.
        pub import_min_rate: u64 as "bytes per second" = 1024,
        /// Deepest nesting of arrays and objects in a JSON body.
        pub max_json_depth: u32 as "levels" = 512,
        /// How a request's transaction ends: `commit`, `rollback`, or either with `-allow-override`, which lets `Prefer: tx=` decide.
        pub tx_end: TxEnd = TxEnd::Commit,
        /// Allows `sum()`, `avg()`, `count()`, `max()` and `min()` in `select`. They can read whole tables, so they are off.
        pub aggregates: bool = false,
        /// Answers `Accept: application/vnd.pgrst.plan` with the query's plan. Shows sizes of tables, so it is off.
        pub plan_enabled: bool = false,
        /// Adds `Server-Timing` with the time of each stage to responses.
        pub server_timing: bool = false,
        /// What the OpenAPI descriptions show: `follow-privileges`, `ignore-privileges` or `disabled`.
        pub openapi_mode: OpenapiMode = OpenapiMode::FollowPrivileges,
        /// Says in the OpenAPI 2.0 description how a token is presented, so that its tools ask for one.
        pub openapi_security_active: bool = false,
        /// A function without arguments that runs before every request's query, as `schema.function`; what it raises refuses the request.
        pub pre_request: Option<String> = None,
        /// Database role of callers without a token, or whose token names none. Empty: they are refused.
        pub anon_role: String = ANON.to_owned(),
        /// A function that answers the root in place of the OpenAPI description, as `function` of the schema asked for or `schema.function` of a served one.
        pub root_spec: Option<String> = None,
        /// Name of a request header that is sent back on every response of the data API, for example `x-correlation-id`.
        pub trace_header: Option<String> = None,
        /// What a failure tells the client: `verbose`, or `minimal` for `code` and `message` alone.
        pub client_error_verbosity: ErrorVerbosity = ErrorVerbosity::Verbose,
        /// Lets filters, orders and limits name an aliased embed by its table, as PostgREST did before aliases; answers then carry `Warning: 299`.
        pub legacy_target_names: bool = true,
        /// What every request's transaction finds as `app.settings.NAME`: a table `[rest.app_settings]`, or a JSON object in the variable.
        pub app_settings: AppSettings = AppSettings::default(),
        /// Settings of a called function (`create function … set`) that hold for its whole transaction.
        pub hoisted_tx_settings: Vec<String> = ["statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation"].map(str::to_owned).to_vec(),
        /// Schemas searched after the served one for names in functions, triggers and casts.
        pub extra_search_path: Vec<String> = vec!["public".to_owned(), "extensions".to_owned()],
    }
}

impl Check for RestSettings {
    fn translate(variables: &BTreeMap<String, String>) -> Translation {
        postgrest::from_variables(variables)
    }

    fn check(&self, findings: &mut Findings<'_>) {
        if let Some(name) = &self.trace_header
            && let Err(why) = check_header(name)
        {
            findings.refuse("trace_header", format!("{why}, found \"{name}\""));
        }
        if self.anon_role == SERVICE_ROLE {
            findings.refuse("anon_role", "service_role looks past row-level security and is for no stranger");
        }
    }
}

/// A token (RFC 9110 section 5.6.2) that does not say how the message is framed.
fn check_header(name: &str) -> Result<(), &'static str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let framing =
        ["connection", "content-length", "transfer-encoding"].iter().any(|f| name.eq_ignore_ascii_case(f));
    match name {
        "" => Err("expected the name of a header"),
        name if framing || !name.bytes().all(token) => Err("expected the name of a header of yours"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
