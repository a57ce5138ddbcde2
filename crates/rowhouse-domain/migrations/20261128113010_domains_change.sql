-- What becomes of a claim. Each function locks the claim and records what it has done, so that checks, releases and deletions at
-- the same time have one outcome.

create function domains.record(c domains.claims, action text, details jsonb default '{}') returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform audit.write('domains', action, 'domain', (c).id::text, details || jsonb_build_object('domain', (c).name),
    tenant_id => (c).tenant_id, organization_id => (c).organization_id);
  perform events.emit('domains.' || action, details || jsonb_build_object('domain_id', (c).id, 'domain', (c).name,
    'organization_id', (c).organization_id, 'tenant_id', (c).tenant_id), (c).tenant_id);
end
$$;
comment on function domains.record(domains.claims, text, jsonb) is 'Writes an audit entry and an event about a claim.';

create function domains.holder_of(c domains.claims) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select h.id from domains.claims h
  where h.name = (c).name and h.status = 'verified' and h.id <> (c).id
    and (h.organization_id <> (c).organization_id or (h.tenant_id is null) = ((c).tenant_id is null))
  limit 1
$$;
comment on function domains.holder_of(domains.claims) is
  'The verified claim that keeps this one from being verified: of another organization, or for the same use in its own.';

create function domains.is_joined_elsewhere(c domains.claims) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from tenancy.organization_domains d
    where d.domain = (c).name and d.verified_at is not null and d.organization_id <> (c).organization_id)
$$;
comment on function domains.is_joined_elsewhere(domains.claims) is 'Whether people join another organization by this name.';

-- People join by the domains of organizations; those of tenants are not theirs.
create function domains.apply_to_joining(c domains.claims) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (c).tenant_id is not null then
    return;
  elsif (c).status = 'released' then
    delete from tenancy.organization_domains d where d.organization_id = (c).organization_id and d.domain = (c).name;
    return;
  end if;
  insert into tenancy.organization_domains as d (organization_id, domain, verified_at)
  values ((c).organization_id, (c).name, (c).verified_at)
  on conflict on constraint organization_domains_pkey do update set verified_at = excluded.verified_at
  where (c).status <> 'pending' and d.verified_at is distinct from excluded.verified_at;
end
$$;
comment on function domains.apply_to_joining(domains.claims) is 'Keeps tenancy.organization_domains true to an organization''s claim.';

-- verified: from now on; confirmed: still; taken: another one has it, whose proof is looked for now; gone: released meanwhile.
-- The lock by name makes two that prove the same name at once come one after the other.
create function domains.confirm(p_claim uuid, p_next interval) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c domains.claims;
  holder uuid;
begin
  perform pg_advisory_xact_lock(hashtextextended('domains.' || d.name, 0)) from domains.claims d where d.id = p_claim;
  select d.* into c from domains.claims d where d.id = p_claim and d.status <> 'released' for update;
  if c.id is null then
    return 'gone';
  end if;
  holder := case when c.status <> 'verified' then domains.holder_of(c) end;
  if holder is not null or c.status <> 'verified' and domains.is_joined_elsewhere(c) then
    update domains.claims d set next_check_at = least(d.next_check_at, clock_timestamp()) where d.id = holder;
    return 'taken';
  end if;
  update domains.claims d
  set status = 'verified', verified_at = coalesce(d.verified_at, clock_timestamp()), confirmed_at = clock_timestamp(),
    checked_at = clock_timestamp(), next_check_at = clock_timestamp() + p_next, failures = 0, failing_since = null,
    unanswered_since = null, last_error = null,
    updated_at = case when d.status = 'verified' then d.updated_at else clock_timestamp() end
  where d.id = p_claim;
  if c.status = 'verified' then
    return 'confirmed';
  end if;
  select d.* into c from domains.claims d where d.id = p_claim;
  perform domains.apply_to_joining(c);
  perform domains.record(c, 'domain_verified', jsonb_build_object('proof', c.proof));
  return 'verified';
end
$$;
comment on function domains.confirm(uuid, interval) is 'Notes that the proof of a claim was seen: verified, confirmed, taken or gone.';

create function domains.lose(p_claim uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  before domains.claims;
  c domains.claims;
begin
  select d.* into before from domains.claims d where d.id = p_claim for update;
  update domains.claims d
  set status = 'failed', verified_at = null, next_check_at = null, updated_at = clock_timestamp(),
    last_error = coalesce(d.last_error, 'it was not proved in time')
  where d.id = p_claim returning d.* into c;
  if before.verified_at is not null then
    perform domains.apply_to_joining(c);
  end if;
  perform domains.record(c, 'domain_failed', jsonb_build_object('reason', c.last_error));
end
$$;
comment on function domains.lose(uuid) is 'Makes a claim a failed one.';

-- unproved: was not verified before; failing: the first check without the proof; kept: within the grace; failed: lost; gone: released
-- meanwhile. An answer without the proof counts, silence only when it lasts.
create function domains.miss(p_claim uuid, p_error text, p_is_answer boolean, p_next interval, p_failures int, p_grace interval,
  p_silence interval) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c domains.claims;
  v_now constant timestamptz := clock_timestamp();
begin
  update domains.claims d
  set checked_at = v_now, last_error = left(p_error, 500),
    failures = case when d.status <> 'verified' then 0 when p_is_answer then d.failures + 1 else d.failures end,
    failing_since = case when d.status = 'verified' and p_is_answer then coalesce(d.failing_since, v_now) else d.failing_since end,
    unanswered_since = case when d.status = 'verified' and not p_is_answer then coalesce(d.unanswered_since, v_now) end,
    next_check_at = case when d.status = 'verified' then v_now + p_next end
  where d.id = p_claim and d.status <> 'released' returning d.* into c;
  if c.id is null then
    return 'gone';
  elsif c.status <> 'verified' then
    return 'unproved';
  elsif c.failures >= p_failures and c.failing_since <= v_now - p_grace or c.unanswered_since <= v_now - p_silence then
    perform domains.lose(c.id);
    return 'failed';
  elsif p_is_answer and c.failures = 1 then
    perform domains.record(c, 'domain_failing', jsonb_build_object('reason', c.last_error));
    return 'failing';
  end if;
  return 'kept';
end
$$;
comment on function domains.miss(uuid, text, boolean, interval, int, interval, interval) is
  'Notes that a check has not seen the proof of a claim: unproved, failing, kept, failed or gone.';

create function domains.release(p_claim uuid, p_reason text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c domains.claims;
begin
  update domains.claims d
  set status = 'released', released_at = clock_timestamp(), updated_at = clock_timestamp(), verified_at = null,
    next_check_at = null, code_digest = null
  where d.id = p_claim and d.status <> 'released' returning d.* into c;
  if c.id is null then
    return false;
  end if;
  perform domains.apply_to_joining(c);
  perform domains.record(c, 'domain_released', jsonb_build_object('reason', p_reason));
  return true;
end
$$;
comment on function domains.release(uuid, text) is 'Gives a claim up; false if it was already.';

create function domains.on_tenant_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform domains.release(c.id, 'tenant_' || new.status) from domains.claims c
  where c.tenant_id = new.id and c.status <> 'released';
  if new.status = 'erased' then
    delete from domains.claims c where c.tenant_id = new.id;
  end if;
  return null;
end
$$;
comment on function domains.on_tenant_deleted() is 'A deleted tenant has no domains; of an erased one not even their names are left.';
create trigger release_domains after update of status on tenancy.tenants
  for each row when (old.status <> new.status and new.status in ('deleted', 'erased')) execute function domains.on_tenant_deleted();

create function domains.on_organization_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform domains.release(c.id, 'organization_deleted') from domains.claims c
  where c.organization_id = new.id and c.status <> 'released';
  return null;
end
$$;
comment on function domains.on_organization_deleted() is 'A deleted organization and its tenants have no domains.';
create trigger release_domains after update of status on tenancy.organizations
  for each row when (old.status <> new.status and new.status = 'deleted') execute function domains.on_organization_deleted();

-- ages[1]: of claims that nobody proves, ages[2]: of released ones, both in seconds.
create function domains.prune(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended bigint;
  removed bigint;
begin
  perform domains.lose(due.id) from (
    select c.id from domains.claims c
    where c.status = 'pending' and c.updated_at < clock_timestamp() - make_interval(secs => ages[1])
    limit 1000 for update skip locked) due;
  get diagnostics ended = row_count;
  delete from domains.claims where id = any (array(
    select c.id from domains.claims c
    where c.status = 'released' and c.updated_at < clock_timestamp() - make_interval(secs => ages[2]) limit 5000));
  get diagnostics removed = row_count;
  return ended + removed;
end
$$;
comment on function domains.prune(double precision[]) is
  'Ends claims that nobody proves and removes those released long ago, some thousand in one call; how many.';

revoke execute on function domains.record(domains.claims, text, jsonb), domains.holder_of(domains.claims),
  domains.is_joined_elsewhere(domains.claims), domains.apply_to_joining(domains.claims), domains.confirm(uuid, interval),
  domains.lose(uuid), domains.miss(uuid, text, boolean, interval, int, interval, interval), domains.release(uuid, text),
  domains.prune(double precision[]) from public;
