//! The module of operators' tools.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowhouse_auth::Auth;
use rowhouse_db::migrate::Statement;
use rowhouse_http::limit::{AddressLimit, LimitName, Quota};
use rowhouse_jobs::builtin::Tidy;
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, BuiltInSchedule, CannotRun, CommandGroup, JobKind, Module, ModuleFuture};
use rowhouse_tenancy::Inviter;
use rowhouse_tenancy::export::answer::Exports;
use time::format_description::well_known::Rfc3339;

use crate::bootstrap;
use crate::bulk::{self, BulkJobs};
use crate::command::{ADMIN, BULK, USERS};
use crate::privacy::route::{self as privacy, PrivacyAdmin};
use crate::route::{self, ImpersonationAdmin, OperatorAdmin};
use crate::settings::OperatorSettings;

/// Ends impersonations that are over by themselves; their sessions have ended before.
const SWEEP: BuiltInSchedule = BuiltInSchedule {
    name: "operators.sweep-impersonations",
    cron: "* * * * *",
    kind: "operators.sweep_impersonations",
};
/// Removes bulk jobs past their retention.
const PRUNE: BuiltInSchedule =
    BuiltInSchedule { name: "operators.prune-bulk", cron: "47 * * * *", kind: "operators.prune_bulk" };
/// Removes impersonations past theirs.
const FORGET: BuiltInSchedule = BuiltInSchedule {
    name: "operators.prune-impersonations",
    cron: "53 * * * *",
    kind: "operators.prune_impersonations",
};
/// Unknown codes of impersonations.
const CODE: LimitName = LimitName::new("impersonation_code");
/// How many an address may try.
const TRIES: u32 = 30;
/// Within this time.
const TRIES_WINDOW: Duration = Duration::from_secs(600);

/// User sync, users, impersonations, bulk jobs, the first operator, operators for an emergency. Requires [`Auth`] when all
/// have started.
#[derive(Debug, Clone, Copy)]
pub struct OperatorModule;

impl Module for OperatorModule {
    fn name(&self) -> &'static str {
        "operator"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<OperatorSettings>()]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![USERS, ADMIN, BULK]
    }

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        vec![bulk::kind(), Tidy::kind(SWEEP.kind), Tidy::kind(PRUNE.kind), Tidy::kind(FORGET.kind)]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            if assembly.origin.settings.is_production() {
                require_closed(assembly).await?;
            }
            let control = assembly.origin.database.control.clone();
            add_exports(assembly);
            let bulk_aal = assembly.origin.settings.get::<OperatorSettings>().bulk_aal;
            let admin = OperatorAdmin { control, rng: Arc::clone(&assembly.origin.rng), bulk_aal };
            assembly.admin("/bootstrap", route::bootstrap::routes, admin.clone());
            assembly.admin("/users", route::user::routes, admin.clone());
            assembly.admin("/bulk-jobs", route::bulk::routes, admin);
            add_bulk_jobs(assembly);
            add_tidying(assembly);
            Ok(())
        })
    }

    /// Sessions are opened by the module of identity, which is complete before this one; letters need that of mail.
    fn complete<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let auth = assembly.require::<Auth>()?;
            add_impersonations(assembly, &auth);
            let (late, inviter) = (assembly.require::<LateInviter>()?, assembly.find::<Inviter>());
            // It can be set once, and this runs once.
            let _set = inviter.map(|inviter| late.0.set((*inviter).clone()));
            Ok(())
        })
    }
}

/// Who invites is known once every module has started, and kinds are collected before.
#[derive(Default)]
struct LateInviter(Arc<OnceLock<Inviter>>);

fn add_bulk_jobs(assembly: &mut Assembly) {
    let late = LateInviter::default();
    let jobs = BulkJobs {
        control: assembly.origin.database.control.clone(),
        inviter: Arc::clone(&late.0),
        clock: Arc::clone(&assembly.origin.clock),
        rng: Arc::clone(&assembly.origin.rng),
    };
    assembly.kind(bulk::kind(), jobs);
    assembly.provide(Arc::new(late));
}

fn add_exports(assembly: &mut Assembly) {
    let admin = PrivacyAdmin {
        control: assembly.origin.database.control.clone(),
        exports: Exports::default(),
        aal: assembly.origin.settings.get::<OperatorSettings>().export_aal,
    };
    assembly.admin("/users", privacy::of_users, admin.clone());
    assembly.admin("/tenants", privacy::of_tenants, admin);
}

fn add_impersonations(assembly: &mut Assembly, auth: &Auth) {
    let admin = ImpersonationAdmin {
        control: assembly.origin.database.control.clone(),
        rng: Arc::clone(&assembly.origin.rng),
        auth: auth.clone(),
        aal: assembly.origin.settings.get::<OperatorSettings>().impersonation_aal,
        tries: AddressLimit::new(CODE, Quota::new(TRIES, TRIES_WINDOW), assembly.rates.limiter()),
    };
    assembly.admin("/impersonations", route::impersonation::routes, admin);
}

fn add_tidying(assembly: &mut Assembly) {
    let control = assembly.origin.database.control.clone();
    let sweep = Tidy::new(&control, "select operators.sweep_impersonations()");
    assembly.kind(Tidy::kind(SWEEP.kind), sweep);
    assembly.schedule(SWEEP);
    let settings = assembly.origin.settings.get::<OperatorSettings>();
    let bulk = "select operators.prune_bulk_jobs(make_interval(secs => ($1::double precision[])[1]))";
    let acted = "select operators.prune_impersonations(make_interval(secs => ($1::double precision[])[1]))";
    for (schedule, statement, age) in
        [(PRUNE, bulk, settings.bulk_retention), (FORGET, acted, settings.impersonation_retention)]
    {
        let prune = Tidy::with(&control, statement, vec![age.as_secs_f64()]);
        assembly.kind(Tidy::kind(schedule.kind), prune);
        assembly.schedule(schedule);
    }
}

/// Production does not start while somebody may still make themselves operator.
async fn require_closed(assembly: &Assembly) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let operation = Operation::background("operators.find_bootstrap", &origin.clock);
    let Some(until) = bootstrap::open_until(&origin.database.control, &operation).await? else {
        return Ok(());
    };
    let until = until.format(&Rfc3339).unwrap_or_default();
    Err(CannotRun::because(format!(
        "a bootstrap is open until {until}: use its token, or take it back with `rowhouse admin bootstrap --close`"
    )))
}
