//! Ways to become another role, and what only looks like one.

use crate::support::found;

#[test]
fn role_is_found_however_it_is_written() {
    for sql in [
        "set role rowhouse;",
        "set local \"role\" = rowhouse;",
        "set \"ROLE\" to rowhouse;",
        "set u&\"r\\006fle\" to rowhouse;",
        "set session authorization rowhouse;",
        "set \"session_authorization\" = rowhouse;",
        "set local session_authorization = rowhouse;",
        "reset role;",
        "reset \"role\";",
        "reset session authorization;",
        "discard all;",
        "select set_config('role', 'rowhouse', false);",
        "select set_config(E'role', 'rowhouse', false);",
        "select set_config(E'r\\157le', 'rowhouse', false);",
        "select set_config($$role$$, 'rowhouse', false);",
        "select set_config($a$role$a$, 'rowhouse', false);",
        "select set_config('ROLE', 'rowhouse', false);",
        "select set_config(('role'), 'rowhouse', false);",
        "select set_config('ro' || 'le', 'rowhouse', false);",
        "select pg_catalog.\"set_config\"(lower('ROLE'), 'rowhouse', false);",
        "update pg_settings set setting = 'rowhouse' where name = 'role';",
        "do $$ begin execute 'reset role'; end $$;",
        "do $$ begin execute format('set %s rowhouse', 'role'); end $$;",
        "do 'begin execute ''reset role''; end';",
        "do $$ begin reset role; end $$;",
        "do $$ begin if true then set local role rowhouse; end if; end $$;",
        "do $$ begin perform set_config('role', 'rowhouse', false); end $$;",
    ] {
        assert!(found(sql).iter().any(|rule| rule == "role-changed"), "{sql}");
    }
}

#[test]
fn what_only_looks_like_a_change_of_role_passes() {
    for sql in [
        "set local lock_timeout = '1s';",
        "reset search_path;",
        "select set_config('app.role', 'x', true);",
        "do $$ begin update public.members set role = 'owner' where role = 'chief'; end $$;",
        "do $$ begin perform set_config('app.step', '1', true); execute 'analyze public.notes'; end $$;",
        "select 'reset role';",
    ] {
        assert!(!found(sql).iter().any(|rule| rule == "role-changed"), "{sql}");
    }
}
