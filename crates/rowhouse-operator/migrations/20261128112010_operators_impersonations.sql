-- Operators who act as users: for some minutes, with a reason, one user at a time.
create table operators.impersonations (
  id uuid not null,
  operator_id uuid not null,
  user_id uuid not null,
  tenant_id uuid,
  reason text not null check (char_length(reason) between 1 and 500),
  code_digest text not null check (code_digest ~ '^[0-9a-f]{64}$'),
  code_expires_at timestamptz not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  redeemed_at timestamptz,
  session_id uuid,
  ended_at timestamptz,
  end_reason text check (end_reason in ('ended', 'expired', 'not_redeemed', 'signed_out', 'revoked')),
  constraint impersonations_pkey primary key (id),
  constraint impersonations_code_digest_key unique (code_digest),
  constraint impersonations_created_at_expires_at_check check (created_at < expires_at),
  constraint impersonations_ended_at_end_reason_check check ((ended_at is null) = (end_reason is null)),
  constraint impersonations_redeemed_at_session_id_check check ((redeemed_at is null) = (session_id is null))
);
create unique index impersonations_operator_id_running_idx on operators.impersonations (operator_id) where ended_at is null;
create index impersonations_user_id_idx on operators.impersonations (user_id);
create index impersonations_ended_at_idx on operators.impersonations (ended_at);
create index impersonations_session_id_idx on operators.impersonations (session_id) where ended_at is null;
comment on table operators.impersonations is
  'Operators who act, or acted, as users. No references: the rows outlive users and sessions.';
comment on column operators.impersonations.id is 'Identifies it; the claim impersonation_id.';
comment on column operators.impersonations.operator_id is 'Who; has one at most that has not ended.';
comment on column operators.impersonations.user_id is 'As whom.';
comment on column operators.impersonations.tenant_id is 'In which tenant; null means the user''s default one.';
comment on column operators.impersonations.reason is 'Why.';
comment on column operators.impersonations.code_digest is 'SHA-256 of the code in hex; the code has 130 bits.';
comment on column operators.impersonations.code_expires_at is 'Until when the code can be redeemed.';
comment on column operators.impersonations.created_at is 'When it was asked for.';
comment on column operators.impersonations.expires_at is 'When it ends, whatever happens.';
comment on column operators.impersonations.redeemed_at is 'When the code was redeemed; null until then.';
comment on column operators.impersonations.session_id is 'Its session in auth.sessions.';
comment on column operators.impersonations.ended_at is 'When it has ended.';
comment on column operators.impersonations.end_reason is
  'ended: by an operator; expired; not_redeemed in time; signed_out: the session is gone; revoked: the operator lost the role, was suspended, or the user became an operator.';
alter table operators.impersonations enable row level security;
alter table operators.impersonations force row level security;
create policy owner_all on operators.impersonations to rowhouse_owner using (true) with check (true);

-- Both identities are in the entry: the operator is the target's counterpart whoever ends it.
create function operators.end_impersonation(p_impersonation operators.impersonations, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_session uuid;
begin
  -- The session as it is now: the code may have been redeemed since the row was read.
  update operators.impersonations i set ended_at = clock_timestamp(), end_reason = p_reason
  where i.id = p_impersonation.id and i.ended_at is null returning i.session_id into v_session;
  if found then
    delete from auth.sessions s where s.id = v_session;
    perform operators.audit('impersonation_ended', p_impersonation.user_id, jsonb_build_object(
      'impersonation_id', p_impersonation.id, 'operator_id', p_impersonation.operator_id, 'end_reason', p_reason));
  end if;
end
$$;
comment on function operators.end_impersonation(operators.impersonations, text) is 'Ends an impersonation with its session, unless it has ended.';
revoke execute on function operators.end_impersonation(operators.impersonations, text) from public;

-- Why one is over that nobody has ended; null while it runs. The end of the session is the end, whatever this says: it is
-- looked up with every request.
create function operators.lapse(p_impersonation operators.impersonations, p_at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when p_impersonation.expires_at <= p_at then 'expired'
    when p_impersonation.redeemed_at is null and p_impersonation.code_expires_at <= p_at then 'not_redeemed'
    when p_impersonation.redeemed_at is not null
      and not exists (select from auth.sessions s where s.id = p_impersonation.session_id) then 'signed_out'
    when coalesce(tenancy.operator_role(p_impersonation.operator_id), '') not in ('super_admin', 'support')
      or tenancy.operator_role(p_impersonation.user_id) is not null
      or not exists (select from auth.users u where u.id = p_impersonation.user_id and u.role = 'authenticated'
        and u.deleted_at is null and (u.banned_until is null or u.banned_until <= p_at)) then 'revoked'
  end
$$;
comment on function operators.lapse(operators.impersonations, timestamptz) is 'Why an impersonation is over by itself; null while it runs.';
revoke execute on function operators.lapse(operators.impersonations, timestamptz) from public;

create function operators.sweep_impersonations(p_at timestamptz default clock_timestamp()) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  lapsed record;
  swept bigint := 0;
begin
  for lapsed in
    select i as impersonation, operators.lapse(i, p_at) as why from operators.impersonations i
    where i.ended_at is null and operators.lapse(i, p_at) is not null order by i.id limit 100 for update of i skip locked
  loop
    perform operators.end_impersonation(lapsed.impersonation, lapsed.why);
    swept := swept + 1;
  end loop;
  return swept;
end
$$;
comment on function operators.sweep_impersonations(timestamptz) is 'Ends impersonations that are over by themselves; returns how many, and 0 when none is left.';
revoke execute on function operators.sweep_impersonations(timestamptz) from public;

create function operators.prune_impersonations(p_age interval) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pruned bigint;
begin
  delete from operators.impersonations where id = any (array(
    select i.id from operators.impersonations i where i.ended_at < clock_timestamp() - p_age limit 5000));
  get diagnostics pruned = row_count;
  return pruned;
end
$$;
comment on function operators.prune_impersonations(interval) is
  'Removes impersonations that ended longer ago, 5000 in one call; returns how many.';
revoke execute on function operators.prune_impersonations(interval) from public;

-- Whose role changes acts as nobody any more, and nobody acts as an operator.
create function operators.on_operator_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about constant uuid := case tg_op when 'DELETE' then old.user_id else new.user_id end;
begin
  perform operators.end_impersonation(i, 'revoked') from operators.impersonations i
  where (i.operator_id = about or i.user_id = about) and i.ended_at is null and operators.lapse(i, now()) is not null;
  return null;
end
$$;
comment on function operators.on_operator_changed() is 'Ends impersonations by, or of, who is no operator any more, or has become one.';
revoke execute on function operators.on_operator_changed() from public;
create trigger on_operator_changed after insert or update or delete on tenancy.operators
  for each row execute function operators.on_operator_changed();

-- An operator's suspension ends what he does as others, too.
create function operators.on_suspended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform operators.end_impersonation(i, 'revoked') from operators.impersonations i
  where (i.operator_id = new.user_id or i.user_id = new.user_id) and i.ended_at is null;
  return null;
end
$$;
comment on function operators.on_suspended() is 'Ends impersonations by and of a suspended user.';
revoke execute on function operators.on_suspended() from public;
create trigger on_suspended after insert or update on operators.suspensions
  for each row execute function operators.on_suspended();

-- Bans, deletions and roles are also written without a suspension: over /auth/v1/admin, and by SQL.
create function operators.on_account_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform operators.end_impersonation(i, operators.lapse(i, clock_timestamp())) from operators.impersonations i
  where (i.operator_id = new.id or i.user_id = new.id) and i.ended_at is null and operators.lapse(i, clock_timestamp()) is not null;
  return null;
end
$$;
comment on function operators.on_account_changed() is
  'Ends impersonations by an operator who is banned or deleted, and of a user who is, or who has another role than authenticated.';
revoke execute on function operators.on_account_changed() from public;
create trigger on_account_changed_for_impersonations after update of banned_until, deleted_at, role on auth.users for each row
  when (new.banned_until is distinct from old.banned_until or new.deleted_at is distinct from old.deleted_at
    or new.role is distinct from old.role)
  execute function operators.on_account_changed();
