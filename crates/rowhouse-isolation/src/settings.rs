//! `[rls]`: what the audit takes as the tenant of a row, and which findings somebody has accepted.

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Entry, Fields, Findings, Named};

use crate::check;
use crate::waiver::Waiver;

settings! {
    /// The audit of isolation.
    pub struct RlsSettings in "rls" {
        /// Columns that name the tenant of a row; the first that a table has counts.
        pub tenant_columns: Vec<String> = vec!["tenant_id".to_owned()],
        /// Findings that are accepted, each under a name of your choice: `[rls.waive.NAME]` with `check`, `relation` as the audit prints it, and `reason`.
        pub waive: Named<WaiverSettings> = Named::default(),
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
        if self.tenant_columns.is_empty() {
            findings.refuse("tenant_columns", "expected the name of a column, for example [\"tenant_id\"]");
        }
    }
}
