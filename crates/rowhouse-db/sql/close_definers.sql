-- PUBLIC may call every new function. A security definer function bypasses row-level security, so anon may call it
-- only if that was granted by name. Functions that policies call stay executable, since readers of the table call
-- them.
do $$
declare
  open record;
begin
  for open in
    select p.oid::regprocedure as routine
    from pg_catalog.pg_proc p
    where p.prosecdef and p.proowner = 'rowhouse_project'::pg_catalog.regrole
      and exists (select from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
        where a.grantee = 0 and a.privilege_type = 'EXECUTE')
      and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          and d.refobjid = p.oid)
  loop
    execute pg_catalog.format('revoke execute on routine %s from public', open.routine);
    execute pg_catalog.format('grant execute on routine %s to authenticated, service_role', open.routine);
  end loop;
end
$$;
