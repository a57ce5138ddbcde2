-- The audit log of letters: who was sent a link or code, and why.
create function auth.audit_letter() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  action constant text := case new.purpose
    when 'signup' then 'user_confirmation_requested'
    when 'invite' then 'user_invited'
    when 'magiclink' then 'user_recovery_requested'
    when 'recovery' then 'user_recovery_requested'
    when 'reauthentication' then 'user_reauthenticate_requested'
  end;
begin
  -- The first invitation is in the log as the making of the account, a change of the address as one of the account.
  if action is null or (action = 'user_invited' and tg_op = 'INSERT') then
    return null;
  end if;
  perform auth.audit_repeated(action, new.user_id, jsonb_build_object('log_type', 'user', 'traits', (
    select jsonb_strip_nulls(jsonb_build_object('user_id', u.id, 'user_email', u.email, 'user_phone', u.phone))
    from auth.users u where u.id = new.user_id)));
  return null;
end
$$;
comment on function auth.audit_letter() is 'Writes which letter with a link or code an account was sent, a hundred of one kind within an hour.';
create trigger audited after insert or update of token_hash on auth.one_time_tokens
  for each row execute function auth.audit_letter();
