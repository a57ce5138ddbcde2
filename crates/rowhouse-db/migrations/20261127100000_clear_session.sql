-- Removes state that earlier requests have left in a database session, before it serves another caller: settings, cursors
-- WITH HOLD, temporary objects, prepared statements, advisory locks, LISTEN channels, values of sequences. Statements
-- prepared by the protocol stay. Runs as the login, in a transaction of its own. Names are qualified because the
-- search path may have been changed.
create function rowhouse.clear_session(statement_timeout pg_catalog.text) returns void
language plpgsql volatile as $$
declare
  prepared pg_catalog.text;
begin
  reset all;
  perform pg_catalog.set_config('role', 'none', false),
    pg_catalog.set_config('statement_timeout', statement_timeout, false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '10000', false),
    pg_catalog.set_config('jit', 'off', false),
    pg_catalog.set_config('bytea_output', 'hex', false),
    pg_catalog.set_config('standard_conforming_strings', 'on', false),
    pg_catalog.pg_advisory_unlock_all();
  execute 'close all';
  unlisten *;
  discard sequences;
  if pg_catalog.pg_my_temp_schema() operator(pg_catalog.<>) 0::pg_catalog.oid then
    discard temp;
  end if;
  for prepared in select s.name from pg_catalog.pg_prepared_statement() as s where s.from_sql loop
    execute pg_catalog.format('deallocate %I', prepared);
  end loop;
end
$$;
comment on function rowhouse.clear_session(pg_catalog.text) is 'Removes state that requests have left in this database session.';
grant execute on function rowhouse.clear_session(pg_catalog.text) to public;
