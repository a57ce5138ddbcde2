-- Whether a policy for `roles` is one for the current role.
create function rowhouse.policy_is_for_me(roles oid[]) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from unnest(roles) r (oid)
    where r.oid = 0 or pg_catalog.pg_has_role(r.oid, 'usage'))
$$;

-- Whether the current role may read every row of `target`: no policy applies to it, or a permissive one gives all
-- rows and no restrictive one takes some away. If true, estimates about the table reveal nothing beyond a plain
-- query.
create function rowhouse.reads_every_row(target regclass) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select has_table_privilege(target, 'select') and (not row_security_active(target) or (
    exists (select from pg_catalog.pg_policy p
      where p.polrelid = target and p.polpermissive and p.polcmd in ('r', '*')
        and pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true' and rowhouse.policy_is_for_me(p.polroles))
    and not exists (select from pg_catalog.pg_policy p
      where p.polrelid = target and not p.polpermissive and p.polcmd in ('r', '*')
        and rowhouse.policy_is_for_me(p.polroles))))
$$;

-- The plan of `query` for any values of its `parameters` placeholders; null if the caller may not read every row of
-- one of its tables. Sizes and statistics cover all rows, so such a plan would reveal other tenants' rows; with
-- values it would also depend on the statistics of these values. Runs with the caller's rights. A statement that a
-- cancelled call has left prepared is removed by the next one.
create function rowhouse.generic_plan(query text, parameters integer) returns json
language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
declare
  plan json;
  nulls text := case when parameters > 0 then '(' || substr(repeat(', null', parameters), 3) || ')' else '' end;
begin
  if exists (select from pg_catalog.pg_prepared_statements where name = 'rowhouse_generic_plan') then
    execute 'deallocate rowhouse_generic_plan';
  end if;
  execute 'prepare rowhouse_generic_plan as ' || query;
  begin
    execute 'explain (format json, verbose) execute rowhouse_generic_plan' || nulls into plan;
  exception when query_canceled or others then
    execute 'deallocate rowhouse_generic_plan';
    raise;
  end;
  execute 'deallocate rowhouse_generic_plan';
  if exists (select from jsonb_path_query(plan::jsonb, 'strict $.** ? (exists (@."Relation Name"))') as node
      where rowhouse.reads_every_row(to_regclass(format('%I.%I', node ->> 'Schema', node ->> 'Relation Name')))
        is not true) then
    return null;
  end if;
  return plan;
end
$$;
comment on function rowhouse.reads_every_row(regclass) is 'Whether the current role may read every row of a table.';
comment on function rowhouse.policy_is_for_me(oid[]) is 'Whether a policy for these roles is one for the current role.';
comment on function rowhouse.generic_plan(text, integer) is
  'The plan of a query, made without the values of its placeholders; null where it depends on rows hidden from the caller.';
grant execute on function rowhouse.reads_every_row(regclass), rowhouse.policy_is_for_me(oid[]),
  rowhouse.generic_plan(text, integer) to public;
