-- The plan of `query` for any values of its `parameters` placeholders. A plan made with values follows the statistics of
-- these very values, and so tells how many rows of other tenants hold them; this one only follows the shape of the query.
-- Runs with the caller's rights. What a cancelled call has left prepared is removed by the next one.
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
    execute 'explain (format json) execute rowhouse_generic_plan' || nulls into plan;
  exception when query_canceled or others then
    execute 'deallocate rowhouse_generic_plan';
    raise;
  end;
  execute 'deallocate rowhouse_generic_plan';
  return plan;
end
$$;
comment on function rowhouse.generic_plan(text, integer) is 'The plan of a query, made without the values of its placeholders.';
grant execute on function rowhouse.generic_plan(text, integer) to public;
