//! What makes policies slow. Leaves the statements to `sql/performance/`.

use super::{Check, Severity, checks};

pub(super) const CHECKS: &[Check] = checks! { "performance":
    "tenant_index", Severity::Warning,
        "No index that begins with the tenant",
        "Each query reads the rows of all tenants and throws them away.",
        "Create it; on a large table with CONCURRENTLY, outside a transaction.";
    "policy_for_everybody", Severity::Warning,
        "Policy without TO",
        "It is evaluated for every role, including those that it was not meant for.",
        "Name the roles.";
    "per_row_function", Severity::Warning,
        "Function that a policy calls for each row",
        "Inside `(select …)` PostgreSQL calls it once for each statement.",
        "Write `(select auth.uid())` in place of `auth.uid()`.";
    "volatile_function", Severity::Warning,
        "Volatile function in a policy",
        "It runs for each row, and no index can be used for what it is compared with.",
        "Declare it stable, if it is, and wrap it.";
    "many_policies", Severity::Warning,
        "Several permissive policies for one verb of one role",
        "Every one of them is evaluated until one is true.",
        "Join them with OR, unless they are clearer apart.";
    "foreign_key_index", Severity::Warning,
        "Reference to a tenant table without an index",
        "Deleting or changing a row that is referred to reads the whole table that refers to it.",
        "Create it; on a large table with CONCURRENTLY, outside a transaction.";
    "duplicate_index", Severity::Warning,
        "Two indexes that are the same",
        "Every write maintains both.",
        "Drop one.";
};
