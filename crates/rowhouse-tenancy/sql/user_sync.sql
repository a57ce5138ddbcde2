-- Users, those of them with a profile, and those without: each counted, none computed from the others. And the trigger that makes profiles,
-- as it has to be: after each inserted row, without a condition.
select count(*) as users, count(p.user_id) as with_profile, count(*) filter (where p.user_id is null) as without_profile,
  coalesce((
    select case when t.tgenabled in ('O', 'A') then 'active' else 'disabled' end
    from pg_catalog.pg_trigger t
    where t.tgrelid = 'auth.users'::pg_catalog.regclass and t.tgname = 'on_auth_user_created' and not t.tgisinternal
      and t.tgfoid = pg_catalog.to_regprocedure('tenancy.on_auth_user_created()') and t.tgtype = 5 and t.tgqual is null
  ), 'missing') as trigger
from auth.users u left join tenancy.user_profiles p on p.user_id = u.id
