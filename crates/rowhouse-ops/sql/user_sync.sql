select
  (select count(*) from auth.users),
  (select count(*) from auth.users u where exists (select from tenancy.user_profiles p where p.user_id = u.id)),
  exists (
    select from pg_trigger
    where tgrelid = 'auth.users'::regclass and tgname = 'on_auth_user_created' and tgenabled in ('O', 'A'))
