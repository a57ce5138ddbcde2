//! `[rls]`: what audit and proof take as the tenant of a row, and what somebody has accepted.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Entry, Fields, Findings, Named};

use crate::check;
use crate::waiver::Waiver;

settings! {
    /// Audit and proof of isolation.
    pub struct RlsSettings in "rls" {
        /// Columns that name the tenant of a row; the first that a table has counts.
        pub tenant_columns: Vec<String> = vec!["tenant_id".to_owned()],
        /// Findings that are accepted, each under a name of your choice: `[rls.waive.NAME]` with `check`, `relation` as the audit prints it, and `reason`.
        pub waive: Named<WaiverSettings> = Named::default(),
        /// Whose rows tables hold, for the proof, beside what `tenancy.protect` and `tenancy.share` declare: `[rls.table.NAME]` with `relation`, then `column` and `is` (`tenant`, `user` or `organization`), or `via` (a column that refers to a declared table), or neither for rows of nobody; `read` says who may read rows of others: `own` (nobody), `signed_in` or `everyone`.
        pub table: Named<TableSettings> = Named::default(),
        /// What a proof may leave unproven: `[rls.unproven.NAME]` with `relation` (or function) as the proof prints it and `reason`.
        pub unproven: Named<UnprovenSettings> = Named::default(),
        /// SQL that the proof runs for each of its tenants before it makes rows, for example memberships in tables of the project; `{tenant}`, `{organization}`, `{user}` and `{email}` stand for values.
        pub setup: Option<String> = None,
        /// Claims that tokens of the project carry beside the usual ones, as a JSON object with the same placeholders.
        pub claims: Option<String> = None,
        /// Keeps two tenants that nobody uses, with rows in every table of tenants, and looks again and again whether one finds the other's; triggers of the project run for these rows once.
        pub tripwires: bool = false,
        /// How long after one look follows the next, give or take a fifth; at least 1 s.
        pub tripwire_interval: Duration = Duration::from_secs(60),
    }
}

/// Whose id a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhoseRow {
    /// The tenant's.
    Tenant,
    /// The user's.
    User,
    /// The organization's.
    Organization,
}

/// Who may read rows of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nobody.
    Own,
    /// Whoever has signed in.
    SignedIn,
    /// Everybody.
    Everyone,
}

/// Whose rows a table holds.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// The relation as the proof prints it.
    pub relation: String,
    /// The column with the id of whose row it is.
    pub column: Option<String>,
    /// Whose id that is.
    pub is: WhoseRow,
    /// A column that refers to a table whose rows are somebody's.
    pub via: Option<String>,
    /// Who may read rows of others.
    pub read: Reach,
}

impl Entry for TableSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let relation = fields.require("relation");
        let (column, via) = (fields.read("column", None), fields.read("via", None));
        let whose = fields.read("is", "tenant".to_owned());
        let read = fields.read("read", "own".to_owned());
        let is = match whose.as_str() {
            "tenant" => WhoseRow::Tenant,
            "user" => WhoseRow::User,
            "organization" => WhoseRow::Organization,
            _ => {
                fields.refuse("is", "expected tenant, user or organization");
                WhoseRow::Tenant
            }
        };
        let read = match read.as_str() {
            "own" => Reach::Own,
            "signed_in" => Reach::SignedIn,
            "everyone" => Reach::Everyone,
            _ => {
                fields.refuse("read", "expected own, signed_in or everyone");
                Reach::Own
            }
        };
        if column.is_some() && via.is_some() {
            fields.refuse("via", "either column or via");
        }
        Self { relation, column, is, via, read }
    }
}

/// What a proof may leave unproven.
#[derive(Debug, Clone)]
pub struct UnprovenSettings {
    /// The relation or function as the proof prints it.
    pub relation: String,
    /// Why that is right.
    pub reason: String,
}

impl Entry for UnprovenSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let unproven = Self { relation: fields.require("relation"), reason: fields.require("reason") };
        if unproven.reason.trim().is_empty() {
            fields.refuse("reason", "say why it need not be proven");
        }
        unproven
    }
}

/// One accepted finding.
#[derive(Debug, Clone)]
pub struct WaiverSettings {
    /// Id of the check.
    pub check: String,
    /// The relation, function or role as the audit prints it.
    pub relation: String,
    /// Why it is right as it is.
    pub reason: String,
}

impl Entry for WaiverSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let waiver = Self {
            check: fields.require("check"),
            relation: fields.require("relation"),
            reason: fields.require("reason"),
        };
        if check::find(&waiver.check).is_none() {
            fields.refuse("check", "no such check; `rowhouse rls audit` prints the ids of its findings");
        }
        if waiver.reason.trim().is_empty() {
            fields.refuse("reason", "say why it is right as it is");
        }
        waiver
    }
}

impl RlsSettings {
    /// The waivers in the order of their names.
    #[must_use]
    pub fn waivers(&self) -> Vec<Waiver> {
        let named = self.waive.iter();
        named
            .map(|(name, waiver)| Waiver {
                name: name.to_owned(),
                check: waiver.check.clone(),
                relation: waiver.relation.clone(),
                reason: waiver.reason.clone(),
            })
            .collect()
    }
}

impl Check for RlsSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        self.waive.report("waive", findings);
        self.table.report("table", findings);
        self.unproven.report("unproven", findings);
        let claims =
            self.claims.as_deref().map(serde_json::from_str::<serde_json::Map<_, serde_json::Value>>);
        if matches!(claims, Some(Err(_))) {
            findings.refuse("claims", "expected a JSON object in a text");
        }
        if self.tripwire_interval < Duration::from_secs(1) {
            findings.refuse("tripwire_interval", "must be at least 1s");
        }
        if self.tenant_columns.is_empty() {
            findings.refuse("tenant_columns", "expected the name of a column, for example [\"tenant_id\"]");
        }
    }
}
