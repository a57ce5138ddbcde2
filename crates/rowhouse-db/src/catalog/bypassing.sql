-- Roles to which row-level security does not apply.
select rolname::text from pg_roles where rolbypassrls or rolsuper
