//! From a parsed request to everything that its transaction needs: the plan within the caller's limits, and the
//! context. A pure function.

use http::HeaderMap;
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::flight::{End, Isolation, Query, RequestContext};
use rowhouse_kernel::Caller;

use crate::admit::Admitted;
use crate::error::Error;
use crate::limit::Timeout;
use crate::parse::{Incoming, parse};
use crate::plan::{Plan, plan};
use crate::request::ApiRequest;
use crate::settings::RestSettings;
use crate::transaction::TransactionSettings;
use crate::{context, sql};

/// A request, ready to be executed.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) request: &'a ApiRequest,
    pub(crate) plan: Plan<'a>,
    pub(crate) timeout: Timeout,
    pub(crate) before: Option<Query>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) search_path: String,
    pub(crate) headers: String,
    pub(crate) cookies: String,
    caller: &'a Caller,
    method: &'a str,
    path: &'a str,
    end: End,
}

impl<'a> Admitted<'a> {
    /// Parses the request, and refuses one beyond the caller's limits.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn parse(&self, incoming: &Incoming<'_>) -> Result<ApiRequest, Error> {
        let request = parse(incoming, &self.settings)?;
        self.limits.check(&request)?;
        Ok(request)
    }

    /// Plans the request.
    ///
    /// # Errors
    /// What the schema does not allow, and a timeout of the function that cannot be read.
    pub(crate) fn prepare(
        &'a self,
        request: &'a ApiRequest,
        incoming: &Incoming<'a>,
    ) -> Result<Prepared<'a>, Error> {
        let (caller, project) = (self.caller, self.project);
        let plan = self.limits.apply(plan(request, self.snapshot, &self.settings)?);
        let settings = transaction_settings(self.snapshot, caller, project, &plan);
        let stream = plan.streams().then_some(project.stream_timeout);
        let timeout = self.limits.timeout(settings.function_timeout(), stream)?;
        Ok(Prepared {
            before: sql::before(timeout.among(settings.settings()), project.pre_request.as_deref()),
            isolation: settings.isolation(),
            search_path: context::search_path(&request.schema, &project.extra_search_path),
            headers: headers(&plan, incoming.headers),
            cookies: context::cookies(incoming.headers),
            end: context::end(project.tx_end, request.prefer.tx),
            method: incoming.method,
            path: incoming.path,
            caller,
            request,
            plan,
            timeout,
        })
    }
}

impl Prepared<'_> {
    /// A refused setting can only be the role: of the context, PostgreSQL validates only role and time zone; built-in
    /// roles always exist.
    pub(crate) fn may_lack_its_role(&self) -> bool {
        let always = [rowhouse_kernel::ANON, rowhouse_kernel::AUTHENTICATED, rowhouse_kernel::SERVICE_ROLE];
        self.request.prefer.time_zone.is_none() && !always.contains(&&*self.caller.role)
    }

    /// The context of the request.
    pub(crate) fn context(&self) -> RequestContext<'_> {
        RequestContext {
            caller: self.caller,
            address: None,
            method: self.method,
            path: self.path,
            headers: &self.headers,
            cookies: &self.cookies,
            access: self.plan.access(),
            search_path: &self.search_path,
            time_zone: self.request.prefer.time_zone.as_deref(),
            before: self.before.as_ref(),
            isolation: self.isolation,
            end: self.end,
        }
    }
}

fn transaction_settings<'s>(
    snapshot: &'s Snapshot,
    caller: &Caller,
    project: &'s RestSettings,
    plan: &Plan<'s>,
) -> TransactionSettings<'s> {
    TransactionSettings::new(project, snapshot.role_settings(&caller.role), plan.settings())
}

/// Not needed if the snapshot alone answers.
fn headers(plan: &Plan<'_>, headers: &HeaderMap) -> String {
    if matches!(plan, Plan::Describe(_)) { String::new() } else { context::headers(headers) }
}
