//! What policies let through. Judged by the parsed expressions. Leaves the statements to `sql/predicate/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "predicate":
    "constant_true", Severity::Error,
        "Policy that is true for every row",
        "On a tenant table it gives everybody the rows of all tenants; a write that anything may pass is none.",
        "Compare the tenant, or drop the policy.";
    "row_unbound", Severity::Error,
        "Policy of a tenant table that does not look at the row",
        "Whoever passes it passes it for the rows of all tenants.",
        "Compare the tenant as well.";
    "open_rows", Severity::Warning,
        "Policy that does not look at the row",
        "All rows are open to whoever passes it.",
        "Declare a table that is common to all tenants with `tenancy.share`; otherwise compare a column with the caller.";
    "tenant_unbound", Severity::Warning,
        "Policy of a tenant table that does not compare the tenant",
        "Rows of other tenants pass if they fit otherwise.",
        "Compare the tenant as well, or add a restrictive policy that does.";
    "escape_arm", Severity::Warning,
        "Policy that lets certain callers past the tenant",
        "A part of an OR holds for callers, not for rows: whoever fulfils it reaches all tenants.",
        "Make sure that nobody fulfils it by mistake, or leave it to a role of its own.";
    "caller_ignored", Severity::Error,
        "Policy of a tenant table that does not ask who calls",
        "The tenant is compared with something that is the same for every caller.",
        "Compare it with `(select auth.tenant_id())`, or ask for the caller in the subquery.";
    "check_wider_than_using", Severity::Error,
        "WITH CHECK that lets through more than USING",
        "A row that one may change can be moved to another tenant, or given to somebody else.",
        "Repeat the condition of USING; without WITH CHECK it counts for both.";
    "anon_write", Severity::Error,
        "Write by anybody",
        "Callers who have not signed in may write.",
        "Revoke the grant from `anon`.";
    "nullable_tenant", Severity::Warning,
        "Tenant column that may be null",
        "A row without tenant is found by nobody and blocks nothing.",
        "Fill it and make it not null.";
    "editable_claims", Severity::Error,
        "Policy that trusts what users write",
        "`user_metadata` in a token is what the user has put there.",
        "Use `app_metadata`, or a table that users cannot write.";
    "strict_setting", Severity::Warning,
        "Setting that fails where it was never set",
        "`current_setting(name)` raises an error in a new session.",
        "Write `current_setting(name, true)`.";
    "bare_setting_cast", Severity::Warning,
        "Setting that is cast although it may be empty",
        "After a transaction with SET LOCAL the setting is the empty text, and the cast fails.",
        "Write `nullif(current_setting(name, true), '')::uuid`.";
    "email_identity", Severity::Warning,
        "Policy that knows people by their address",
        "Addresses change, and an address that is given up can be taken by somebody else.",
        "Compare `(select auth.uid())` with a column that refers to `auth.users`.";
    "fixed_id", Severity::Warning,
        "Policy with an id written in it",
        "It holds in one installation, for one row.",
        "Look the id up, or put it into a table.";
};
