-- Functions with which one caller leaves what it can in the database session, and the next looks for it. {schema}: a served one.
create function {schema}.rowhouse_prove_look() returns jsonb language plpgsql volatile as $$
begin
  return pg_catalog.jsonb_build_object(
    'settings', (select pg_catalog.jsonb_object_agg(name, pg_catalog.current_setting(name, true))
      from pg_catalog.unnest(array['prove.left', 'app.current_user_id', 'jwt.claims.sub', 'response.headers']) as name),
    'session', nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb -> 'session_id',
    'relations', (select pg_catalog.jsonb_agg(pg_catalog.obj_description(c.oid, 'pg_class')) from pg_catalog.pg_class c
      where c.relnamespace = pg_catalog.pg_my_temp_schema() and pg_catalog.pg_my_temp_schema() <> 0),
    'cursors', (select pg_catalog.jsonb_agg(c.statement) from pg_catalog.pg_cursors c where c.name like 'prove%'),
    'prepared', (select pg_catalog.jsonb_agg(p.statement) from pg_catalog.pg_prepared_statements p where p.from_sql),
    'channels', (select pg_catalog.jsonb_agg(channel) from pg_catalog.pg_listening_channels() as channel),
    'locks', (select pg_catalog.count(*) from pg_catalog.pg_locks l
      where l.locktype = 'advisory' and l.pid = pg_catalog.pg_backend_pid() and l.granted and l.objid = 20261128));
end
$$;
create function {schema}.rowhouse_prove_leave(tag text, fails boolean, waits boolean) returns jsonb language plpgsql volatile as $$
declare
  item text;
begin
  foreach item in array array[
    pg_catalog.format('set prove.left = %L', tag),
    pg_catalog.format('set app.current_user_id = %L', tag),
    pg_catalog.format('set jwt.claims.sub = %L', tag),
    pg_catalog.format('set request.jwt.claims = %L', pg_catalog.current_setting('request.jwt.claims', true)),
    pg_catalog.format('create temporary table prove_left as select %L::text as tag', tag),
    pg_catalog.format('comment on table pg_temp.prove_left is %L', tag),
    pg_catalog.format('declare prove_left cursor with hold for select %L::text', tag),
    pg_catalog.format('prepare prove_left as select %L::text', tag),
    pg_catalog.format('listen %I', 'prove_' || tag),
    'select pg_catalog.pg_advisory_lock(20261128)'
  ] loop
    begin
      execute item;
    exception when others then
      -- Some need a privilege that callers do not have.
      null;
    end;
  end loop;
  if waits then
    perform pg_catalog.pg_advisory_xact_lock(20261129);
  end if;
  if fails then
    raise exception 'rowhouse_prove_leave';
  end if;
  return {schema}.rowhouse_prove_look();
end
$$;
