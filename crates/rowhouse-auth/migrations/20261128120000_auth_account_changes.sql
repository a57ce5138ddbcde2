-- What ends with a change of an account, whoever makes it: the admin API, an operator or SQL.

create function auth.on_account_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever confirms an address for the first time goes on after the ban, as with GoTrue.
  if new.banned_until > clock_timestamp() then
    delete from auth.one_time_tokens t
    where t.user_id = new.id and t.token_type::text not in ('confirmation_token', 'phone_confirmation_token');
  end if;
  if new.role is distinct from 'authenticated' then
    delete from auth.sessions s where s.user_id = new.id and s.oauth_client_id is not null;
  end if;
  return null;
end
$$;
comment on function auth.on_account_changed() is
  'Ends links and codes that sign a banned user in or change the account, and applications'' sessions of who has another role than authenticated.';
revoke execute on function auth.on_account_changed() from public;
create trigger on_account_changed after update of banned_until, role on auth.users for each row
  when (new.banned_until is distinct from old.banned_until or new.role is distinct from old.role)
  execute function auth.on_account_changed();
