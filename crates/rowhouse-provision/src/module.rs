//! The module of provisioning: its schema, settings and routes, and its jobs.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_auth::HookTarget;
use rowhouse_db::Control;
use rowhouse_db::migrate::Statement;
use rowhouse_jobs::builtin::Tidy;
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_mail::Mailer;
use rowhouse_module::{Assembly, BuiltInSchedule, CannotRun, JobKind, Module, ModuleFuture, SiteUrl};
use tokio_postgres::Client;

use crate::hook::Hook;
use crate::mistake::mistakes;
use crate::route::{ProvisionAdmin, routes};
use crate::run::{Provisioner, RUN, UNDO};
use crate::settings::ProvisionSettings;

const SWEEP: BuiltInSchedule =
    BuiltInSchedule { name: "provision.sweep", cron: "*/5 * * * *", kind: "provision.sweep" };
/// How long a run may show no sign of life: longer than the longest pause between two runs of its job.
const SILENCE: Duration = Duration::from_secs(1200);

/// Provisioning of tenants. Requires [`Mailer`] and [`SiteUrl`].
#[derive(Debug, Clone, Copy)]
pub struct ProvisionModule;

impl Module for ProvisionModule {
    fn name(&self) -> &'static str {
        "provision"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<ProvisionSettings>()]
    }

    fn kinds(&self, settings: &Settings) -> Vec<JobKind> {
        let settings = settings.get::<ProvisionSettings>();
        let [run, undo] = [RUN, UNDO].map(|name| Provisioner::kind(name, &settings));
        vec![run, undo, Tidy::kind(SWEEP.kind)]
    }

    /// Makes the function of the hook run as its owner.
    fn after_project_migrations<'a>(
        &'a self,
        client: &'a Client,
        settings: &'a Settings,
    ) -> ModuleFuture<'a> {
        Box::pin(async move {
            if let Some(HookTarget::Function(name)) = settings.get::<ProvisionSettings>().target() {
                let confined = client.execute("select auth.confine_hook($1)", &[&name]).await;
                let why = |error: tokio_postgres::Error| {
                    CannotRun::because(format!("provisioning.hook: {}", rowhouse_db::DbError::from(error)))
                };
                confined.map_err(why)?;
            }
            Ok(())
        })
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let provisioner = provisioner(assembly)?;
            let settings = Arc::clone(&provisioner.settings);
            let control = provisioner.control.clone();
            for name in [RUN, UNDO] {
                assembly.kind(Provisioner::kind(name, &settings), provisioner.clone());
            }
            let ages = vec![SILENCE.as_secs_f64(), settings.retention.as_secs_f64()];
            let sweep = Tidy::with(&control, "select provisioning.sweep($1)", ages);
            warn(&control, &settings).await;
            assembly.kind(Tidy::kind(SWEEP.kind), sweep);
            assembly.schedule(SWEEP);
            assembly.admin("/tenants", routes, ProvisionAdmin { control });
            Ok(())
        })
    }
}

/// Names what the next tenant would run into.
async fn warn(control: &Control, settings: &Arc<ProvisionSettings>) {
    let settings = Arc::clone(settings);
    let find = async move |client: &Client| mistakes(client, &settings).await;
    match control.statement(&Operation::system("provision.check"), find).await {
        Ok(mistakes) => mistakes.iter().for_each(|mistake| tracing::warn!("{mistake}")),
        Err(error) => tracing::warn!(%error, "whether tenants can be provisioned cannot be found out"),
    }
}

/// The project's own hook may be on this machine, as those of identity may; the setting is the operator's.
fn provisioner(assembly: &Assembly) -> Result<Provisioner, CannotRun> {
    let origin = &assembly.origin;
    let settings = origin.settings.get::<ProvisionSettings>();
    let outbound = Outbound::new(true).map_err(CannotRun::because)?;
    let hook = Hook::new(Arc::clone(&settings), outbound, Arc::clone(&origin.clock));
    Ok(Provisioner {
        control: origin.database.control.clone(),
        settings,
        mailer: Mailer::clone(&*assembly.require::<Mailer>()?),
        site_url: assembly.require::<SiteUrl>()?.0.as_str().into(),
        hook,
    })
}
