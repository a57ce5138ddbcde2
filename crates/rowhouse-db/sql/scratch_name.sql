-- A name for a database to try migrations in, and whether this login may create it.
select 'rowhouse_scratch_' || d.oid || '_' || left(replace(gen_random_uuid()::text, '-', ''), 12),
  r.rolcreatedb or r.rolsuper, r.rolname::text
from pg_roles r, pg_database d where r.rolname = session_user and d.datname = current_database()
