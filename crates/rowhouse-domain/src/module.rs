//! The module of domains: its schema, settings and routes, and the jobs that look for proofs again.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Statement;
use rowhouse_http::ServerSettings;
use rowhouse_jobs::JobsSettings;
use rowhouse_jobs::builtin::Tidy;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_mail::Mailer;
use rowhouse_module::{Assembly, BuiltInSchedule, CannotRun, JobKind, Module, ModuleFuture, SiteUrl};

use crate::check::Checker;
use crate::flow::Domains;
use crate::recheck::Rechecks;
use crate::route::{DomainAdmin, of_organizations, of_tenants};
use crate::settings::DomainSettings;

const CHECK: BuiltInSchedule =
    BuiltInSchedule { name: "domains.check", cron: "*/10 * * * *", kind: "domains.check" };
const PRUNE: BuiltInSchedule =
    BuiltInSchedule { name: "domains.prune", cron: "41 * * * *", kind: "domains.prune" };
/// How long a run of checks may take: as long as a domain is left alone by other runs.
const CHECK_TIMEOUT: Duration = Duration::from_secs(900);

/// Domains of tenants and organizations. Requires [`Mailer`].
#[derive(Debug, Clone, Copy)]
pub struct DomainModule;

impl Module for DomainModule {
    fn name(&self) -> &'static str {
        "domain"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<DomainSettings>()]
    }

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        vec![check_kind(), Tidy::kind(PRUNE.kind)]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let domains = domains(assembly)?;
            let control = assembly.origin.database.control.clone();
            let rechecks = Rechecks::of(control.clone(), domains.clone());
            add_jobs(assembly, rechecks);
            let admin = DomainAdmin { control, domains };
            assembly.admin("/tenants", of_tenants, admin.clone());
            assembly.admin("/organizations", of_organizations, admin);
            Ok(())
        })
    }
}

fn check_kind() -> JobKind {
    JobKind { timeout: CHECK_TIMEOUT, ..Tidy::kind(CHECK.kind) }
}

fn domains(assembly: &Assembly) -> Result<Domains, CannotRun> {
    let origin = &assembly.origin;
    let settings = origin.settings.get::<DomainSettings>();
    let public_url = origin.settings.get::<ServerSettings>().public_url.clone().unwrap_or_default();
    let public_host = host_of(&public_url);
    let allow_private = origin.settings.get::<JobsSettings>().allow_private_urls;
    let checker = Checker::new(&settings, &public_host, allow_private, Arc::clone(&origin.clock));
    let site_host = assembly.find::<SiteUrl>().map(|url| host_of(&url.0));
    let reserved = site_host.into_iter().chain([public_host]).filter(|host| !host.is_empty()).collect();
    Ok(Domains {
        settings,
        checker: checker.map_err(CannotRun::because)?,
        mailer: Mailer::clone(&*assembly.require::<Mailer>()?),
        clock: Arc::clone(&origin.clock),
        rng: Arc::clone(&origin.rng),
        reserved,
    })
}

fn add_jobs(assembly: &mut Assembly, rechecks: Rechecks) {
    let settings = assembly.origin.settings.get::<DomainSettings>();
    let ages = [settings.pending_lifetime, settings.retention].map(|age| age.as_secs_f64()).to_vec();
    let prune = Tidy::with(&assembly.origin.database.control, "select domains.prune($1)", ages);
    assembly.kind(check_kind(), rechecks);
    assembly.kind(Tidy::kind(PRUNE.kind), prune);
    assembly.schedule(CHECK);
    assembly.schedule(PRUNE);
}

/// The host of a URL, in lower case, without its port.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn host_of_a_url_has_neither_port_nor_path() {
        for (url, host) in [
            ("https://App.Example:8443/x?y", "app.example"),
            ("http://app.example", "app.example"),
            ("http://127.0.0.1:8000/", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
