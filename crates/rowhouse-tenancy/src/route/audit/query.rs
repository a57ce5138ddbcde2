//! The queries of the audit log's routes.

use rowhouse_audit::{Filter, Format, parse_time};
use rowhouse_http::api::{Cursor, Problem};
use rowhouse_kernel::{OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::permission::Scope;

/// A query with the filter's parameters and further ones.
macro_rules! query {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            /// Written at this time or later: RFC 3339, or a day.
            since: Option<String>,
            /// Written before this time.
            until: Option<String>,
            /// Done by.
            actor: Option<String>,
            /// What was done.
            action: Option<String>,
            /// Concerning this organization.
            organization: Option<Uuid>,
            /// Concerning this tenant.
            tenant: Option<Uuid>,
            /// Done to this kind of thing, or to one: `user`, `user:ID`.
            target: Option<String>,
            $($(#[$field_doc])* pub(super) $field: $kind,)*
        }

        impl $name {
            /// Which entries of the scope are asked for.
            pub(super) fn filter(&self, scope: Scope) -> Result<Filter, Problem> {
                let filter = Filter {
                    since: time("since", self.since.as_deref())?,
                    until: time("until", self.until.as_deref())?,
                    actor: self.actor.clone(),
                    action: self.action.clone(),
                    organization: organization(scope, self.organization)?,
                    tenant: self.tenant.map(TenantId),
                    ..Filter::default()
                };
                Ok(filter.with_target(self.target.as_deref()))
            }
        }
    };
}

query! {
    /// The query of a list.
    AuditQuery {
        /// Where the page begins: `next` of the one before.
        cursor: Option<Cursor>,
        /// 1 to 1000; 50 if not given.
        limit: Option<u32>,
    }
}

query! {
    /// The query of an export.
    AuditExportQuery {
        /// `ndjson` if not given.
        format: Option<Format>,
    }
}

fn time(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    let time = text.map(parse_time).transpose();
    time.map_err(|problem| Problem::malformed(format!("{name}: {problem}")))
}

/// The organization whose entries are read; another than the path's is refused.
fn organization(scope: Scope, wanted: Option<Uuid>) -> Result<Option<OrganizationId>, Problem> {
    let wanted = wanted.map(OrganizationId);
    match scope {
        Scope::Organization(id) if wanted.is_some_and(|wanted| wanted != id) => {
            Err(Problem::malformed("organization: the path names another"))
        }
        Scope::Organization(id) => Ok(Some(id)),
        _ => Ok(wanted),
    }
}
