-- Retention: a chain loses its oldest links with their entries, and keeps the hash from which the rest goes on. Nothing is
-- removed from the middle, so that what is missing there was removed by somebody.
create table audit.retentions (
  organization_id uuid not null,
  days int not null,
  constraint retentions_pkey primary key (organization_id),
  constraint retentions_days_check check (days between 1 and 36500)
);
comment on table audit.retentions is 'How long an organization''s entries are kept, where that differs from audit.retention.';
comment on column audit.retentions.organization_id is 'The chain. No reference: entries outlive organizations.';
comment on column audit.retentions.days is 'Days; less than audit.minimum_retention counts as that.';
alter table audit.retentions enable row level security;
alter table audit.retentions force row level security;
create policy owner_all on audit.retentions to rowhouse_owner using (true) with check (true);

-- A removal is judged by its rows and not by a setting of the session, which whoever deletes could set: an entry may go if
-- its link lies before the chain's checkpoint, and the checkpoint may move over entries of more than a day only. Who can
-- switch triggers off can still delete; a verification finds it.
create function audit.refuse_removal() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from removed r where not exists (
      select from audit.chain c join audit.checkpoints k on k.organization_id = c.organization_id
      where c.entry_id = r.id and c.sequence <= k.sequence)) then
    raise exception using errcode = 'insufficient_privilege',
      message = 'audit.entries is append-only: DELETE is refused';
  end if;
  return null;
end
$$;
comment on function audit.refuse_removal() is 'Refuses the removal of entries after the checkpoint.';
create trigger only_pruned after delete on audit.entries
  referencing old table as removed for each statement execute function audit.refuse_removal();

create function audit.refuse_unlinking() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from removed r where not exists (
      select from audit.checkpoints k where k.organization_id = r.organization_id and r.sequence <= k.sequence)) then
    raise exception using errcode = 'insufficient_privilege',
      message = 'audit.chain is append-only: DELETE is refused';
  end if;
  return null;
end
$$;
comment on function audit.refuse_unlinking() is 'Refuses the removal of links after the checkpoint.';
create trigger only_pruned after delete on audit.chain
  referencing old table as removed for each statement execute function audit.refuse_unlinking();
create trigger append_only before update or truncate on audit.chain
  for each statement execute function audit.refuse_change();

create function audit.check_checkpoint() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from audit.chain c where c.organization_id = new.organization_id and c.sequence = new.sequence and c.hash = new.hash)
  then
    raise exception using errcode = 'insufficient_privilege', message = 'a checkpoint is the hash of a link';
  end if;
  if exists (
    select from audit.chain c join audit.entries e on e.id = c.entry_id
    where c.organization_id = new.organization_id and c.sequence <= new.sequence
      and e.occurred_at > clock_timestamp() - interval '1 day') then
    raise exception using errcode = 'insufficient_privilege', message = 'entries of the last day are not removed';
  end if;
  return new;
end
$$;
comment on function audit.check_checkpoint() is 'Refuses checkpoints that are no link, or have entries of the last day before them.';
create trigger checked before insert or update on audit.checkpoints
  for each row execute function audit.check_checkpoint();
create trigger append_only before delete or truncate on audit.checkpoints
  for each statement execute function audit.refuse_change();

-- Removes the links of a chain up to the first whose entry is younger than `cutoff`, at most `most`.
create function audit.prune_chain(of_chain uuid, cutoff timestamptz, most bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  last record;
  removed bigint;
begin
  select w.sequence, w.hash into last from (
    select c.sequence, c.hash, bool_and(e.id is null or e.occurred_at < cutoff) over (order by c.sequence) as is_old
    from (select l.sequence, l.hash, l.entry_id from audit.chain l where l.organization_id = of_chain
      order by l.sequence limit most) c
    left join audit.entries e on e.id = c.entry_id) w
  where w.is_old order by w.sequence desc limit 1;
  if last.sequence is null then
    return 0;
  end if;
  insert into audit.checkpoints as k (organization_id, sequence, hash) values (of_chain, last.sequence, last.hash)
  on conflict (organization_id) do update
    set sequence = excluded.sequence, hash = excluded.hash, pruned_at = excluded.pruned_at;
  delete from audit.entries e using audit.chain c
  where c.organization_id = of_chain and c.sequence <= last.sequence and e.id = c.entry_id;
  delete from audit.chain c where c.organization_id = of_chain and c.sequence <= last.sequence;
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function audit.prune_chain(uuid, timestamptz, bigint) is 'Removes the oldest links of a chain with their entries, and moves its checkpoint.';
revoke execute on function audit.prune_chain(uuid, timestamptz, bigint) from public;

-- One step: at most 5000 entries that are older than their organization's retention, else ages[1] seconds, and never younger
-- than ages[2] seconds or a day. Origins of transactions that are over go, too.
create function audit.prune(ages double precision[]) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := 5000;
  least_age constant interval := greatest(make_interval(secs => ages[2]), interval '1 day');
  removed bigint := 0;
  old record;
begin
  delete from audit.origins o where o.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    or o.began_at < clock_timestamp() - interval '1 day';
  for old in
    select c.id, kept.until
    from audit.chains() c (id)
    left join audit.retentions r on r.organization_id = c.id
    cross join lateral (select clock_timestamp()
      - greatest(coalesce(make_interval(days => r.days), make_interval(secs => ages[1])), least_age) as until) kept
    cross join lateral (select l.entry_id from audit.chain l where l.organization_id = c.id order by l.sequence limit 1) first
    left join audit.entries e on e.id = first.entry_id
    where e.id is null or e.occurred_at < kept.until
  loop
    removed := removed + audit.prune_chain(old.id, old.until, most - removed);
    exit when removed >= most;
  end loop;
  return removed;
end
$$;
comment on function audit.prune(double precision[]) is 'Removes entries past their retention, 5000 in one call; the only way.';
revoke execute on function audit.prune(double precision[]) from public;
