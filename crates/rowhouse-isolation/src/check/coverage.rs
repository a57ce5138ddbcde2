//! Which tables row-level security does not reach. Leaves the statements to `sql/coverage/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "coverage":
    "rls_disabled", Severity::Error,
        "Table without row-level security",
        "Who has a grant on it reads and writes the rows of all tenants.",
        "Protect it, or declare it as common to all tenants with `tenancy.share`; or revoke the grants.";
    "policies_ignored", Severity::Error,
        "Policies on a table whose row-level security is off",
        "PostgreSQL keeps policies and applies none of them until row-level security is enabled.",
        "Enable and force row-level security. Under FORCE the owner needs a policy, too, for migrations that change rows.";
    "force_missing", Severity::Error,
        "Row-level security that its owner bypasses",
        "Migrations, views and functions that run as the owner see all rows, whatever the policies say.",
        "Force it. `tenancy.protect` also adds the policy by which migrations of the owner still reach the rows.";
    "child_unprotected", Severity::Error,
        "Partition or child of a protected table that is open by its own name",
        "Policies of the parent count for queries of the parent only.",
        "Revoke the grants on the child: queries of the parent need none. Or protect it, too.";
    "no_policy", Severity::Warning,
        "Row-level security without a policy for those who have grants",
        "Nobody gets a row, which looks like an empty table.",
        "Add policies, or revoke the grants.";
    "only_restrictive", Severity::Warning,
        "Restrictive policies without a permissive one",
        "Restrictive policies only take away from what permissive ones give.",
        "Make one of them permissive.";
    "verb_without_policy", Severity::Info,
        "A grant that no policy lets anybody use",
        "The grant does nothing: writes fail, or find no row.",
        "Add a policy for the verb, or revoke it.";
    "undeclared", Severity::Warning,
        "Table of a served schema that is neither protected nor shared",
        "The next grant opens it to all tenants.",
        "Call `tenancy.protect` or `tenancy.share`.";
    "default_privileges", Severity::Warning,
        "Default privileges that open new tables",
        "A table is open from its creation until somebody protects it.",
        "Revoke them, and grant for each table what it needs.";
};
