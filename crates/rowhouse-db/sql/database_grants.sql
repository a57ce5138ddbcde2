-- What the platform's roles need in this database: statements in their order, each of which may be repeated, for its owner
-- or a superuser. Access to the schema public is decided by grants, not by PUBLIC. $1 and $2 are the data plane's logins.
select array[
  'revoke all on schema public from public',
  'grant usage, create on schema public to rowhouse_project',
  'grant usage on schema public to anon, authenticated, service_role, rowhouse',
  'create schema if not exists extensions',
  'grant usage on schema extensions to anon, authenticated, service_role, rowhouse_owner, rowhouse_project, rowhouse',
  format('revoke all on database %I from public', current_database()),
  format('grant connect on database %I to rowhouse, %I, %I', current_database(), $1::text, $2::text),
  format('grant create on database %I to rowhouse_owner, rowhouse_project', current_database())
]
