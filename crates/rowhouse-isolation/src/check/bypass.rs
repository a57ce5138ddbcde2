//! Ways around row-level security. Leaves the statements to `sql/bypass/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "bypass":
    "caller_role", Severity::Error,
        "Role of the data plane that policies do not hold",
        "Requests run in this role, or can change to one that bypasses row-level security or owns the tables.",
        "Take the attribute or the membership away.";
    "elevated_login", Severity::Warning,
        "Login that bypasses row-level security",
        "Every program that uses it reads the rows of all tenants.",
        "Give programs a login without these attributes.";
    "view_owner_rights", Severity::Error,
        "View that shows rows of all tenants",
        "Policies are evaluated for its owner, who may see everything.",
        "Let it run with the rights of its caller.";
    "view_not_invoker", Severity::Warning,
        "View that reads protected tables with the rights of its owner",
        "What it shows depends on policies for its owner; a change of the owner opens it.",
        "Let it run with the rights of its caller.";
    "materialized_view", Severity::Error,
        "Materialized view with protected rows",
        "Its rows were read by its owner, and row-level security does not reach it.",
        "Revoke the grants and give access by a function or view that compares the tenant.";
    "foreign_table", Severity::Error,
        "Foreign table that callers may use",
        "Row-level security does not reach it.",
        "Revoke the grants and give access by a function or view that compares the tenant.";
    "definer_search_path", Severity::Error,
        "Function with the rights of its owner that finds what its caller says",
        "Whoever can create objects in its path decides what it runs.",
        "Fix its path, schemas that callers can write into left out and `pg_temp` last.";
    "definer_elevated", Severity::Error,
        "Function for callers that runs past row-level security",
        "Its owner sees all rows, and so does what it returns.",
        "Give it an owner that policies hold.";
    "definer_for_anon", Severity::Warning,
        "Function with the rights of its owner that anybody may call",
        "Who has not signed in runs it with rights that others have.",
        "Revoke it from PUBLIC and grant it to those who need it.";
    "role_change", Severity::Warning,
        "Function that changes the role it runs in",
        "Policies hold the caller's role; after `set role`, `reset role` or `set session authorization` another one counts.",
        "Take it out; give a function that needs more rights an owner that has them, and compare the tenant in it.";
    "truncate_grant", Severity::Warning,
        "Grants that policies do not hold",
        "TRUNCATE deletes the rows of all tenants, REFERENCES shows which exist, a TRIGGER runs as whoever writes.",
        "Revoke them.";
    "leakproof", Severity::Warning,
        "Function declared leakproof",
        "PostgreSQL may run it on rows that a policy hides; its errors and messages tell about them.",
        "Take the declaration away.";
    "publication", Severity::Warning,
        "Published table without row-level security",
        "Subscribers get the changes of all tenants.",
        "Protect it, or take it out of the publication.";
};
