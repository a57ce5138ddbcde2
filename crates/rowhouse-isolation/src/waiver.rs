//! Findings that somebody has accepted, with a reason. Leaves reading them to `settings`.

use crate::report::{Finding, Waived};

/// An accepted finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// What its author calls it.
    pub name: String,
    /// Id of the check.
    pub check: String,
    /// The relation, function or role as the audit prints it.
    pub relation: String,
    /// Why it is right as it is.
    pub reason: String,
}

/// What the platform's own schemas have on purpose: check, relation, reason. A test finds each of them needed.
pub const PLATFORM: &[(&str, &str, &str)] = &[
    (
        "bypass.definer_search_path",
        "rowhouse.require_live_session(uuid,uuid,uuid,text)",
        "every request calls it, and a path of its own costs time; it writes all operators with their schema, which a test checks",
    ),
    (
        "bypass.role_change",
        "rowhouse.clear_session(text)",
        "takes the role away that an earlier caller has left; a flight sets the next caller's after it",
    ),
    (VIEW, "auth.users_public", "shows the caller, and users who share an open tenant with the caller"),
    (VIEW, "tenancy.my_members", "shows members of tenants in which the caller may view members"),
    (VIEW, "tenancy.my_organizations", "shows organizations of which the caller is a member"),
    (VIEW, "tenancy.my_products", "shows products of tenants in which the caller may use them"),
    (VIEW, "tenancy.my_tenants", "shows tenants of which the caller is a member"),
];

/// Views of the platform read with the rights of their owner and pick the rows by `auth.uid()`.
const VIEW: &str = "bypass.view_owner_rights";

/// The platform's, which are no business of a project's.
pub(crate) fn platform() -> Vec<Waiver> {
    let waiver = |(check, relation, reason): &(&str, &str, &str)| Waiver {
        name: "platform".to_owned(),
        check: (*check).to_owned(),
        relation: (*relation).to_owned(),
        reason: (*reason).to_owned(),
    };
    PLATFORM.iter().map(waiver).collect()
}

impl Waiver {
    fn covers(&self, finding: &Finding) -> bool {
        self.check == finding.id && self.relation == finding.relation
    }
}

/// Findings that nobody has accepted, those that somebody has, and waivers that cover nothing.
pub(crate) fn apply(found: Vec<Finding>, waivers: &[Waiver]) -> (Vec<Finding>, Vec<Waived>, Vec<String>) {
    let is_used = |waiver: &&Waiver| !found.iter().any(|finding| waiver.covers(finding));
    let unused = waivers.iter().filter(is_used).map(|waiver| waiver.name.clone()).collect();
    let (mut left, mut waived) = (Vec::new(), Vec::new());
    for finding in found {
        match waivers.iter().find(|waiver| waiver.covers(&finding)) {
            Some(waiver) => {
                waived.push(Waived { finding, waiver: waiver.name.clone(), reason: waiver.reason.clone() });
            }
            None => left.push(finding),
        }
    }
    (left, waived, unused)
}
