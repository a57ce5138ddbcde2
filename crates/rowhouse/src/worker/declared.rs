//! Every kind of job that this program can run, and the schedules it brings along. A room that has jobs adds its own here.

use rowhouse_db::Control;
use rowhouse_jobs::builtin::{self, Tidy};
use rowhouse_jobs::config::{self, BuiltIn, ConfigError, Declarations};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_jobs::sql_handler::{self, SqlHandler};
use rowhouse_jobs::{Registry, declared_kind};
use rowhouse_kernel::settings::{DbSettings, JobsSettings};
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_mail::Webhook;

use crate::app::Parts;
use crate::outcome::CannotRun;

/// This program's version.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Tidying that rooms above the jobs have as functions in their schemas.
const TIDYING: &[(BuiltIn, &str)] = &[
    (
        BuiltIn { name: "auth.prune-tokens", cron: "27 * * * *", kind: "auth.prune_tokens" },
        "select auth.prune_tokens()",
    ),
    (
        BuiltIn { name: "auth.prune-sessions", cron: "37 * * * *", kind: "auth.prune_sessions" },
        "select auth.prune_sessions()",
    ),
];

/// The same for the audit log, whose age is a setting.
const AUDIT: BuiltIn = BuiltIn { name: "auth.prune-audit", cron: "47 * * * *", kind: "auth.prune_audit" };

/// Kinds with their handlers, and what the file declares.
pub(super) struct Declared {
    pub(super) registry: Registry,
    webhook: Webhook,
    settings: JobsSettings,
}

impl Declared {
    /// Opens the connections that handlers need for themselves.
    pub(super) fn from_parts(parts: &Parts) -> Result<Self, CannotRun> {
        let settings = parts.settings.jobs.clone();
        let control = &parts.database.control;
        let mut registry = Registry::new();
        builtin::add_kinds(&mut registry, control, &settings);
        for (schedule, statement) in TIDYING {
            registry.add(Tidy::kind(schedule.kind), Tidy::new(control, statement));
        }
        let ages = vec![parts.settings.auth.audit_retention.as_secs_f64()];
        registry.add(Tidy::kind(AUDIT.kind), Tidy::with(control, "select auth.prune_audit($1)", ages));
        crate::mail::delivery(parts)?.register(&mut registry);
        crate::mail::drafts(parts)?.register(&mut registry);
        let functions = sql_handler(parts)?;
        registry.add(SqlHandler::kind(), functions.clone());
        let outbound = Outbound::new(settings.allow_private_urls).map_err(CannotRun::because)?;
        let webhook = crate::mail::webhook(parts, &outbound)?;
        webhook.register(&mut registry);
        let mistakes =
            declared_kind::add_kinds(&mut registry, &settings, &outbound, &functions, &parts.clock);
        if mistakes.is_empty() { Ok(Self { registry, webhook, settings }) } else { Err(CannotRun(mistakes)) }
    }

    /// Writes everything down; see `config::sync`.
    pub(super) async fn write(
        &self,
        control: &Control,
        clock: &SharedClock,
        rng: &SharedRng,
    ) -> Result<(), ConfigError> {
        let tidying = TIDYING.iter().map(|(schedule, _)| *schedule).chain([AUDIT]);
        let built_in: Vec<BuiltIn> =
            builtin::SCHEDULES.iter().chain(rowhouse_mail::SCHEDULES).copied().chain(tidying).collect();
        let declared = Declarations {
            settings: &self.settings,
            registry: &self.registry,
            built_in: &built_in,
            release: RELEASE,
        };
        config::sync(control, &declared, clock, rng).await?;
        Ok(self.webhook.declare().await?)
    }
}

/// Functions see what requests see.
fn sql_handler(parts: &Parts) -> Result<SqlHandler, CannotRun> {
    let settings = DbSettings { control_pool_size: sql_handler::MOST_AT_ONCE, ..parts.settings.db.clone() };
    let quoted: Vec<String> = parts
        .settings
        .rest
        .schemas
        .iter()
        .chain(&parts.settings.rest.extra_search_path)
        .map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")))
        .collect();
    Ok(SqlHandler::new(Control::open(&parts.control_url, &settings)?, quoted.join(", ")))
}
