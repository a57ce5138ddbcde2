//! The modules of this program, one line each. A module may require only what earlier ones provide.

use rowhouse_about::AboutModule;
use rowhouse_auth::AuthModule;
use rowhouse_backup::BackupModule;
use rowhouse_db::migrate::MigrateSettings;
use rowhouse_domain::DomainModule;
use rowhouse_flag::FlagModule;
use rowhouse_isolation::IsolationModule;
use rowhouse_jobs::{AuditModule, EventModule, JobsModule};
use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use rowhouse_mail::MailModule;
use rowhouse_module::{CannotRun, Modules, Project};
use rowhouse_operator::OperatorModule;
use rowhouse_ops::OpsModule;
use rowhouse_provision::ProvisionModule;
use rowhouse_redis::RedisModule;
use rowhouse_rest::RestModule;
use rowhouse_tenancy::TenancyModule;

use crate::telemetry::LogSettings;

/// All modules.
#[must_use]
pub fn modules() -> Modules {
    Modules::new(vec![
        Box::new(RedisModule),
        Box::new(TenancyModule),
        Box::new(FlagModule),
        Box::new(AuthModule),
        Box::new(RestModule),
        Box::new(JobsModule),
        Box::new(EventModule),
        Box::new(AuditModule),
        Box::new(MailModule),
        Box::new(AboutModule),
        Box::new(OperatorModule),
        Box::new(DomainModule),
        Box::new(ProvisionModule),
        Box::new(IsolationModule),
        Box::new(BackupModule),
        Box::new(OpsModule),
    ])
    .with_settings(GroupSpec::of::<MigrateSettings>())
    .with_settings(GroupSpec::of::<LogSettings>())
}

/// A project's settings, with where each came from.
///
/// # Errors
/// Every mistake at once.
pub fn settings(project: &Project) -> Result<(Settings, Sources), CannotRun> {
    project.settings(&modules().settings())
}

#[cfg(test)]
mod tests;
