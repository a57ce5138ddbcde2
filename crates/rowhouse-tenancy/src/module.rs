//! The module of tenancy: its schema, and the tenants' limits kept in step with the database.

mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Statement;
use rowhouse_db::{Database, DbError, Following, follow};
use rowhouse_http::BackgroundTask;
use rowhouse_http::limit::{AddressLimit, LimitName, Quota};
use rowhouse_jobs::builtin::Tidy;
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_mail::Mailer;
use rowhouse_module::{
    Assembly, BuiltInSchedule, CannotRun, CommandGroup, JobKind, Module, ModuleFuture, SiteUrl,
};
use tokio_postgres::Client;

use crate::flow::invitation::{Invitations, Letters};
use crate::inviter::Inviter;
use crate::limit::{CHANNEL, TenantLimits};
use crate::route::admin::{self, ApiKeyAdmin, InvitationAdmin, TenancyAdmin};
use crate::route::audit;
use crate::settings::TenancySettings;

const FOLLOWING: Following = Following {
    channel: CHANNEL,
    ignored: &[],
    debounce: Duration::ZERO,
    retry: Duration::from_secs(2),
    limit: Duration::from_secs(5),
};

/// How long keys are kept after they were revoked or expired.
const API_KEY_RETENTION: Duration = Duration::from_secs(90 * 86_400);

/// The cleanup job of invitations and keys.
const INVITATIONS: BuiltInSchedule = BuiltInSchedule {
    name: "tenancy.prune-invitations",
    cron: "37 * * * *",
    kind: "tenancy.prune_invitations",
};

const TOKEN: LimitName = LimitName::new("invitation-token");
/// Unknown tokens of invitations from one address within the window.
const TRIES: u32 = 30;
const TRIES_WINDOW: Duration = Duration::from_secs(300);

/// Organizations, tenants, memberships. Provides [`TenantLimits`], and the [`rowhouse_http::Meter`] of the router.
#[derive(Debug, Clone, Copy)]
pub struct TenancyModule;

impl Module for TenancyModule {
    fn name(&self) -> &'static str {
        "tenancy"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<TenancySettings>()]
    }

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        upkeep::kinds().into_iter().chain([Tidy::kind(INVITATIONS.kind)]).collect()
    }

    fn commands(&self) -> Vec<CommandGroup> {
        use crate::command::{ENTITLEMENTS, ORGS, PLANS, PRODUCTS, QUOTAS, TENANTS, audit::AUDIT};
        vec![ORGS, TENANTS, PLANS, QUOTAS, PRODUCTS, ENTITLEMENTS, AUDIT]
    }

    fn channels(&self) -> &'static [&'static str] {
        &[CHANNEL, crate::calls::CHANNEL]
    }

    /// Adds tenant checks for foreign keys that the migrations have created.
    fn after_project_migrations<'a>(&'a self, client: &'a Client, _: &'a Settings) -> ModuleFuture<'a> {
        Box::pin(async move {
            if crate::refresh_references(client).await? > 0 {
                client.batch_execute("notify pgrst, 'reload schema'").await.map_err(DbError::from)?;
            }
            Ok(())
        })
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let limits = Reloaded { limits: Arc::default(), database: assembly.origin.database.clone() };
            if let Err(error) = limits.reload().await {
                tracing::warn!(%error, "the tenants' limits could not be loaded yet");
            }
            assembly.provide(Arc::clone(&limits.limits));
            add_routes(assembly);
            audit::serve(assembly);
            add_tidying(assembly);
            upkeep::add(assembly);
            let hub = assembly.hub();
            assembly.task(BackgroundTask::new("tenancy.limits", move |heartbeat| {
                let (limits, hub) = (limits.clone(), hub.clone());
                async move { follow(&hub, FOLLOWING, || limits.reload(), || heartbeat.beat()).await }
            }));
            Ok::<(), CannotRun>(())
        })
    }

    /// Invitations need letters, and the module of mail starts after this one; without it there are none.
    fn complete<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            if let (Some(mailer), Some(site_url)) = (assembly.find::<Mailer>(), assembly.find::<SiteUrl>()) {
                add_invitations(assembly, &mailer, &site_url);
            }
            upkeep::add_settings(assembly);
            Ok(())
        })
    }
}

fn add_routes(assembly: &mut Assembly) {
    let settings = assembly.origin.settings.get::<TenancySettings>();
    let admin = TenancyAdmin { control: assembly.origin.database.control.clone(), settings };
    assembly.admin("/me", admin::me, admin.clone());
    assembly.admin("/organizations", admin::organizations, admin.clone());
    assembly.admin("/permissions", admin::permissions, admin.clone());
    assembly.admin("/organizations", admin::joins, admin.clone());
    assembly.admin("/products", admin::products, admin.clone());
    assembly.admin("/tenants", admin::tenants, admin);
    let keys = ApiKeyAdmin {
        control: assembly.origin.database.control.clone(),
        rng: Arc::clone(&assembly.origin.rng),
    };
    assembly.admin("/organizations", admin::api_keys, keys);
}

fn add_invitations(assembly: &mut Assembly, mailer: &Mailer, site_url: &SiteUrl) {
    let settings = assembly.origin.settings.get::<TenancySettings>();
    let letters = Letters::new(mailer.clone(), &site_url.0, settings.invitation_url.as_deref());
    let admin = InvitationAdmin {
        control: assembly.origin.database.control.clone(),
        invitations: Invitations { letters, settings, rng: Arc::clone(&assembly.origin.rng) },
        tries: AddressLimit::new(TOKEN, Quota::new(TRIES, TRIES_WINDOW), assembly.rates.limiter()),
    };
    assembly.provide(Arc::new(Inviter(admin.invitations.clone())));
    assembly.admin("/organizations", admin::invitations, admin.clone());
    assembly.admin("/invitations", admin::invitation_tokens, admin);
}

fn add_tidying(assembly: &mut Assembly) {
    let settings = assembly.origin.settings.get::<TenancySettings>();
    let prune = "select tenancy.prune_invitations(make_interval(secs => ($1::double precision[])[1]))
                   + tenancy.prune_api_keys(make_interval(secs => ($1::double precision[])[2]))";
    let ages = vec![settings.invitation_retention.as_secs_f64(), API_KEY_RETENTION.as_secs_f64()];
    let prune = Tidy::with(&assembly.origin.database.control, prune, ages);
    assembly.kind(Tidy::kind(INVITATIONS.kind), prune);
    assembly.schedule(INVITATIONS);
}

/// The limits and the pool from which they are read.
#[derive(Clone)]
struct Reloaded {
    limits: Arc<TenantLimits>,
    database: Database,
}

impl Reloaded {
    /// Reads all limits; after a failure those in use stay.
    async fn reload(&self) -> Result<(), DbError> {
        let limits = Arc::clone(&self.limits);
        let load = async move |client: &Client| limits.reload(client).await;
        self.database.control.statement(&Operation::system("tenancy.load_limits"), load).await
    }
}
