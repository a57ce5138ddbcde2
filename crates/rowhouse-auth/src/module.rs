//! The module of identity: schema, settings, surfaces and cleanup jobs.

use std::sync::Arc;

use rowhouse_db::DbError;
use rowhouse_db::migrate::Statement;
use rowhouse_http::{BackgroundTask, CallerResolver, Dialect, ForeignTokens, ServerSettings, Surface};
use rowhouse_jobs::JobsSettings;
use rowhouse_jobs::builtin::Tidy;
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_kernel::{Operation, Rng};
use rowhouse_mail::Mailer;
use rowhouse_module::{
    Assembly, BuiltInSchedule, CannotRun, CommandGroup, FindCaller, JobKind, KeySecret, Metric, Mode, Module,
    ModuleFuture, Project, Secrets, SiteUrl,
};
use tokio_postgres::Client;

use crate::flow::lock_letter::LockLetters;
use crate::hook::job::HookJobs;
use crate::hook::{Hooks, hook_mistakes};
use crate::settings::{
    AuthHookSettings, AuthSettings, HookTarget, MfaSettings, NotificationSettings, OauthServerSettings,
    SmsSettings,
};
use crate::{ApiKeys, Auth, AuthParts, KeyStore};

/// Cleanup jobs without a configurable age.
const TIDYING: &[(BuiltInSchedule, &str)] = &[
    (
        BuiltInSchedule { name: "auth.prune-tokens", cron: "27 * * * *", kind: "auth.prune_tokens" },
        "select auth.prune_tokens()",
    ),
    (
        BuiltInSchedule { name: "auth.prune-sessions", cron: "37 * * * *", kind: "auth.prune_sessions" },
        "select auth.prune_sessions()",
    ),
    (
        BuiltInSchedule { name: "auth.prune-flows", cron: "17 * * * *", kind: "auth.prune_flows" },
        "select auth.prune_flows()",
    ),
    (
        BuiltInSchedule { name: "auth.prune-oauth", cron: "7 * * * *", kind: "auth.prune_oauth" },
        "select auth.prune_oauth()",
    ),
];

/// The cleanup job of sessions that nobody uses, whose age is a setting.
const IDLE: BuiltInSchedule =
    BuiltInSchedule { name: "auth.end-idle-sessions", cron: "57 * * * *", kind: "auth.end_idle_sessions" };

const METRICS: &[Metric] = &[
    Metric { name: "rowhouse_auth_signins_total", help: "Sign-ins by password, by outcome." },
    Metric {
        name: "rowhouse_auth_refreshes_total",
        help: "Refresh tokens presented, by outcome; `reused` ends the session as stolen.",
    },
    Metric {
        name: "rowhouse_auth_messages_total",
        help: "Messages to phones, by outcome: `sent`, `failed` or `limited`, which were beyond `auth_sms.total_rate_per_hour`.",
    },
    Metric {
        name: "rowhouse_auth_factor_verifications_total",
        help: "Answers to challenges of second factors, by outcome.",
    },
];

/// People, sessions and keys. Provides [`KeyStore`], [`CallerResolver`], [`SiteUrl`], [`KeySecret`] and what seals secrets
/// ([`rowhouse_crypto::Envelope`]); requires [`Mailer`] when all have started, and then provides [`Auth`].
#[derive(Debug, Clone, Copy)]
pub struct AuthModule;

impl Module for AuthModule {
    fn name(&self) -> &'static str {
        "auth"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![
            GroupSpec::of::<AuthSettings>(),
            GroupSpec::of::<MfaSettings>(),
            GroupSpec::of::<NotificationSettings>(),
            GroupSpec::of::<AuthHookSettings>(),
            GroupSpec::of::<OauthServerSettings>(),
            GroupSpec::of::<SmsSettings>(),
        ]
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::KEYS, crate::command::AUTH]
    }

    fn find_caller(&self) -> Option<FindCaller> {
        Some(crate::act_as::find_caller)
    }

    fn channels(&self) -> &'static [&'static str] {
        &[crate::store::key::CHANNEL]
    }

    fn generate_secrets(
        &self,
        project: &Project,
        settings: &mut Settings,
        rng: &dyn Rng,
    ) -> Result<(), CannotRun> {
        if settings.get::<AuthSettings>().key_secret.is_none() {
            let secret = Secrets::ensure(project, rng)?.key_secret;
            settings.update(|auth: &mut AuthSettings| auth.key_secret = Some(secret));
        }
        Ok(())
    }

    /// Confines triggers on users that the migrations have created, and the functions of hooks, to the project's rights.
    fn after_project_migrations<'a>(
        &'a self,
        client: &'a Client,
        settings: &'a Settings,
    ) -> ModuleFuture<'a> {
        Box::pin(async move {
            let row = client.query_one("select auth.confine_triggers()", &[]).await.map_err(DbError::from)?;
            let confined: i32 = row.try_get(0).map_err(DbError::from)?;
            if confined > 0 {
                tracing::info!(confined, "functions of triggers on auth.users run as their owner now");
            }
            confine_hooks(client, &settings.get::<AuthHookSettings>()).await?;
            Ok(())
        })
    }

    fn kinds(&self, settings: &Settings) -> Vec<JobKind> {
        let hooks = Hooks::job_kind(settings.get::<AuthHookSettings>().longest_call());
        let schedules = TIDYING.iter().map(|(schedule, _)| schedule).chain([&IDLE]);
        schedules.map(|schedule| Tidy::kind(schedule.kind)).chain([hooks, LockLetters::kind()]).collect()
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<AuthSettings>();
            let keys = open_keys(assembly, &settings).await?;
            assembly.provide(Arc::new(KeySecret(keys.root())));
            assembly.provide(keys.envelope());
            assembly.provide(Arc::new(site_url(assembly, &settings)));
            add_resolver(assembly, &settings, &keys)?;
            add_tidying(assembly, &settings);
            tell_keys(assembly, &keys).await?;
            let hub = assembly.hub();
            let followed = keys.clone();
            assembly.task(BackgroundTask::new("auth.keys", move |heartbeat| {
                let (keys, heard) = (followed.clone(), hub.subscribe());
                async move { keys.follow(heard, || heartbeat.beat()).await }
            }));
            assembly.provide(Arc::new(keys));
            Ok(())
        })
    }

    /// The surfaces write letters, and the module of mail starts after this one, which it needs.
    fn complete<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let (keys, mailer) = (assembly.require::<KeyStore>()?, assembly.require::<Mailer>()?);
            let auth = make(assembly, &keys, &mailer)?;
            let longest = assembly.origin.settings.get::<AuthHookSettings>().longest_call();
            assembly.kind(Hooks::job_kind(longest), HookJobs(Arc::clone(&auth.hooks)));
            assembly.kind(LockLetters::kind(), LockLetters(auth.clone()));
            warn(&auth, &assembly.origin.settings.get::<AuthHookSettings>()).await;
            assembly.provide(Arc::new(auth.clone()));
            add_surfaces(assembly, auth);
            Ok(())
        })
    }
}

/// Names what requests will run into: hooks whose functions cannot be called, and letters without a way out.
async fn warn(auth: &Auth, hooks: &AuthHookSettings) {
    if auth.letters.require_way().is_err() {
        tracing::warn!(
            "mail.transport is none, and auth_hooks.send_email is not set: no letter leaves, and requests for one are refused with email_provider_disabled"
        );
    }
    let settings = hooks.clone();
    let find = async move |client: &Client| hook_mistakes(client, &settings).await;
    match auth.control.statement(&Operation::system("auth.check_hooks"), find).await {
        Ok(mistakes) => mistakes.iter().for_each(|mistake| tracing::warn!("{mistake}")),
        Err(error) => {
            tracing::warn!(%error, "whether the functions of hooks can be called cannot be found out");
        }
    }
}

async fn confine_hooks(client: &Client, hooks: &AuthHookSettings) -> Result<(), CannotRun> {
    for (hook, uri) in hooks.all() {
        if let Some(Ok(HookTarget::Function(name))) = uri.map(HookTarget::read) {
            let confined = crate::store::hook::confine(client, &name).await;
            confined.map_err(|error| CannotRun::because(format!("auth_hooks.{hook}: {error}")))?;
        }
    }
    Ok(())
}

fn site_url(assembly: &Assembly, settings: &AuthSettings) -> SiteUrl {
    let public_url = assembly.origin.settings.get::<ServerSettings>().public_url.clone();
    SiteUrl(settings.site_url.clone().or(public_url).unwrap_or_default())
}

async fn open_keys(assembly: &Assembly, settings: &AuthSettings) -> Result<KeyStore, CannotRun> {
    let origin = &assembly.origin;
    let system = rowhouse_kernel::Origin::system(&origin.clock);
    KeyStore::open(origin.database.control.clone(), settings, system, origin.rng.clone())
        .await
        .map_err(|error| CannotRun::because(error.to_string()))
}

fn add_resolver(assembly: &mut Assembly, settings: &AuthSettings, keys: &KeyStore) -> Result<(), CannotRun> {
    let foreign = ForeignTokens::new(settings.jwt_aud.as_deref(), &settings.jwt_role_claim_key)
        .map_err(|why| CannotRun::because(format!("auth.jwt_role_claim_key: {why}")))?;
    let foreign = foreign.trusting_public_keys(settings.jwt_grants_service_role);
    let resolver = CallerResolver::new(keys.shared(), foreign, assembly.origin.clock.clone());
    assembly.provide(Arc::new(resolver));
    Ok(())
}

fn make(assembly: &Assembly, keys: &KeyStore, mailer: &Mailer) -> Result<Auth, CannotRun> {
    let origin = &assembly.origin;
    let settings = origin.settings.get::<AuthSettings>();
    let hooks = AuthHookSettings::clone(&origin.settings.get());
    let outbound = Outbound::new(hooks.allow_private_urls).map_err(CannotRun::because)?;
    let public_url = origin.settings.get::<ServerSettings>().public_url.clone();
    Auth::new(AuthParts {
        control: origin.database.control.clone(),
        lookups: origin.database.lookups.clone(),
        keys: keys.clone(),
        settings: (*settings).clone(),
        hooks,
        outbound,
        mailer: mailer.clone(),
        mfa: (*origin.settings.get::<MfaSettings>()).clone(),
        notifications: (*origin.settings.get::<NotificationSettings>()).clone(),
        oauth: (*origin.settings.get::<OauthServerSettings>()).clone(),
        sms: (*origin.settings.get::<SmsSettings>()).clone(),
        public_url: public_url.unwrap_or_default(),
        allow_private_urls: origin.settings.get::<JobsSettings>().allow_private_urls,
        rates: assembly.rates.clone(),
        clock: origin.clock.clone(),
        rng: origin.rng.clone(),
    })
    .map_err(CannotRun::because)
}

fn add_surfaces(assembly: &mut Assembly, auth: Auth) {
    let surface = Surface::new("/auth/v1", Dialect::AUTH, crate::router(auth.clone()));
    assembly.surface(Surface { basic: &["/oauth/token"], ..surface });
    assembly.surface(Surface::root(crate::well_known_router(auth)));
}

fn add_tidying(assembly: &mut Assembly, settings: &AuthSettings) {
    let control = assembly.origin.database.control.clone();
    for (schedule, statement) in TIDYING {
        assembly.kind(Tidy::kind(schedule.kind), Tidy::new(&control, statement));
        assembly.schedule(*schedule);
    }
    let ages = vec![settings.session_idle_limit.as_secs_f64()];
    assembly.kind(Tidy::kind(IDLE.kind), Tidy::with(&control, "select auth.end_idle_sessions($1)", ages));
    assembly.schedule(IDLE);
}

/// In development, adds the API keys to the banner and `state.json`.
async fn tell_keys(assembly: &mut Assembly, keys: &KeyStore) -> Result<(), CannotRun> {
    let (Mode::Development { .. }, Some(project)) = (assembly.origin.mode, assembly.origin.project.clone())
    else {
        return Ok(());
    };
    let url = assembly.origin.settings.get::<ServerSettings>().public_url.clone().unwrap_or_default();
    let api_keys = ApiKeys::ensure(&project, keys, &url).await?;
    assembly.fact("anon_key", Some("anon key"), api_keys.anon_key);
    assembly.fact("service_role_key", Some("service_role key"), api_keys.service_role_key);
    assembly.fact("jwks_url", None, format!("{url}/.well-known/jwks.json"));
    Ok(())
}
