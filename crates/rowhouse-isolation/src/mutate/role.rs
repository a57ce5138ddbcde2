//! Defects in roles; most need a superuser. Leaves grants on tables to `table`.

use super::place::Kind;

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "caller_bypasses", sql: |_, _| Some("alter role authenticated bypassrls".to_owned()) },
    Kind {
        name: "anon_bypasses",
        sql: |t, _| Some(format!("alter role anon bypassrls; grant select on {} to anon", t.name)),
    },
    Kind {
        name: "caller_is_member_of_owner",
        sql: |_, _| {
            Some("alter role authenticated inherit; grant rowhouse_project to authenticated".to_owned())
        },
    },
    Kind {
        name: "caller_may_become_service",
        sql: |_, _| Some("grant service_role to authenticated".to_owned()),
    },
    Kind {
        name: "login_may_become_service",
        sql: |_, p| Some(format!("grant service_role to \"{}\"", p.scope.login)),
    },
    Kind { name: "login_bypasses", sql: |_, p| Some(format!("alter role \"{}\" bypassrls", p.scope.login)) },
    Kind {
        name: "owner_is_caller",
        sql: |t, _| {
            Some(format!(
                "alter table {0} owner to authenticated; alter table {0} no force row level security",
                t.name
            ))
        },
    },
];
