-- The chain of hashes that shows whether the audit log has been changed. One chain for each organization, and one for the
-- entries without any (the nil UUID).
--
-- Entries are linked after their transaction (audit.seal, every second), not in it: a chain's end that every transaction
-- had to lock would make all sign-ins wait for each other.
create table audit.chain (
  organization_id uuid not null,
  sequence bigint not null,
  entry_id uuid not null,
  hash bytea not null,
  constraint chain_pkey primary key (organization_id, sequence),
  constraint chain_entry_id_key unique (entry_id),
  constraint chain_sequence_check check (sequence > 0),
  constraint chain_hash_check check (octet_length(hash) = 32)
);
comment on table audit.chain is
  'A link for each sealed entry, without gaps from the checkpoint (or 1) on. Append-only as the entries are.';
comment on column audit.chain.organization_id is 'The chain: the entries'' organization, or the nil UUID for those without one.';
comment on column audit.chain.sequence is 'The link''s place in its chain, from 1.';
comment on column audit.chain.entry_id is 'The entry.';
comment on column audit.chain.hash is 'audit.link_hash of the link before and this entry.';

create table audit.checkpoints (
  organization_id uuid not null,
  sequence bigint not null,
  hash bytea not null,
  pruned_at timestamptz not null default clock_timestamp(),
  constraint checkpoints_pkey primary key (organization_id)
);
comment on table audit.checkpoints is 'Where each chain begins after its oldest links were removed past their retention.';
comment on column audit.checkpoints.organization_id is 'The chain.';
comment on column audit.checkpoints.sequence is 'The last link that was removed.';
comment on column audit.checkpoints.hash is 'Its hash, from which the first link that is left goes on.';
comment on column audit.checkpoints.pruned_at is 'When it was removed.';

-- Each entry is sealed by its row here, so that it does not matter in which order transactions commit: what is not
-- visible yet is sealed by a later step.
create table audit.unsealed (
  number bigint generated always as identity,
  entry_id uuid not null,
  organization_id uuid not null,
  written_at timestamptz not null default clock_timestamp(),
  constraint unsealed_pkey primary key (number)
);
comment on table audit.unsealed is 'Entries that have no link yet.';
comment on column audit.unsealed.number is 'The order of writing.';
comment on column audit.unsealed.entry_id is 'The entry.';
comment on column audit.unsealed.organization_id is 'Its chain.';
comment on column audit.unsealed.written_at is 'When it was written; the age of the oldest is how far sealing is behind.';

create table audit.sealer (
  is_only boolean not null default true,
  constraint sealer_pkey primary key (is_only),
  constraint sealer_is_only_check check (is_only)
);
insert into audit.sealer default values;
comment on table audit.sealer is 'One row, locked by the process that seals.';
comment on column audit.sealer.is_only is 'Always true.';

do $$
declare
  name text;
begin
  foreach name in array array['chain', 'checkpoints', 'unsealed', 'sealer'] loop
    execute format('alter table audit.%I enable row level security', name);
    execute format('alter table audit.%I force row level security', name);
    execute format('create policy owner_all on audit.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

create function audit.enqueue_sealing() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into audit.unsealed (entry_id, organization_id)
  select w.id, coalesce(w.organization_id, '00000000-0000-0000-0000-000000000000') from written w;
  return null;
end
$$;
comment on function audit.enqueue_sealing() is 'Writes down that new entries have no link yet.';
create trigger to_be_sealed after insert on audit.entries
  referencing new table as written for each statement execute function audit.enqueue_sealing();

-- The bodies of these two are parsed here, so that no search path matters, and inlined, which halves the time of a
-- verification. The time is written in seconds since 1970: as text it would depend on the session's time zone.
create function audit.digest(entry audit.entries) returns bytea
language sql stable
return sha256(convert_to(jsonb_build_array(
  entry.id, extract(epoch from entry.occurred_at), entry.source, entry.action, entry.actor, entry.operation,
  entry.request_id, entry.organization_id, entry.tenant_id, entry.target_kind, entry.target_id, entry.address,
  entry.user_agent, entry.details, entry.impersonator)::text, 'UTF8'));
comment on function audit.digest(audit.entries) is 'SHA-256 of an entry: its columns as a JSON array, in the order of this function.';
revoke execute on function audit.digest(audit.entries) from public;

create function audit.link_hash(previous bytea, organization_id uuid, sequence bigint, digest bytea) returns bytea
language sql immutable
return sha256(previous || uuid_send(organization_id) || int8send(sequence) || digest);
comment on function audit.link_hash(bytea, uuid, bigint, bytea) is
  'SHA-256 of the hash before (32 bytes; zeros for the first link), the chain (16), the sequence (8, big-endian) and the entry''s digest (32).';
revoke execute on function audit.link_hash(bytea, uuid, bigint, bytea) from public;

create function audit.newest_link(of_chain uuid, out sequence bigint, out hash bytea)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select n.sequence, n.hash from (
    (select c.sequence, c.hash from audit.chain c where c.organization_id = of_chain order by c.sequence desc limit 1)
    union all select k.sequence, k.hash from audit.checkpoints k where k.organization_id = of_chain
    union all select 0, decode(repeat('00', 32), 'hex')) n
  order by n.sequence desc limit 1
$$;
comment on function audit.newest_link(uuid) is 'Where a chain ends: its newest link, or the checkpoint; (0, zeros) of one without either.';
revoke execute on function audit.newest_link(uuid) from public;

-- Reads one row of the index for each chain.
create function audit.chains() returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive found (id) as (
    select least((select c.organization_id from audit.chain c order by c.organization_id limit 1),
      (select k.organization_id from audit.checkpoints k order by k.organization_id limit 1))
    union all
    select least(
      (select c.organization_id from audit.chain c where c.organization_id > f.id order by c.organization_id limit 1),
      (select k.organization_id from audit.checkpoints k where k.organization_id > f.id order by k.organization_id limit 1))
    from found f where f.id is not null)
  select f.id from found f where f.id is not null
$$;
comment on function audit.chains() is 'Every chain.';
revoke execute on function audit.chains() from public;

-- One step: links at most `most` entries in the order of writing. A process that dies in it leaves nothing of it; one that
-- comes while another is at it seals nothing. Entries that are gone (somebody has removed them with the triggers off) stay
-- in the queue, where a verification finds them.
create function audit.seal(most int, out sealed int, out waiting_seconds double precision)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  entry record;
  of_chain uuid;
  at_sequence bigint;
  at_hash bytea;
  done bigint[] := '{}';
begin
  if exists (select from audit.unsealed) then
    perform from audit.sealer for update skip locked;
    if found then
      for entry in
        select b.* from (
          select u.number, e.id, coalesce(e.organization_id, '00000000-0000-0000-0000-000000000000') as chain,
            audit.digest(e) as digest
          from audit.unsealed u join audit.entries e on e.id = u.entry_id
          order by u.number limit most) b
        order by b.chain, b.number
      loop
        if entry.chain is distinct from of_chain then
          of_chain := entry.chain;
          select n.sequence, n.hash into at_sequence, at_hash from audit.newest_link(of_chain) n;
        end if;
        at_sequence := at_sequence + 1;
        at_hash := audit.link_hash(at_hash, of_chain, at_sequence, entry.digest);
        insert into audit.chain (organization_id, sequence, entry_id, hash) values (of_chain, at_sequence, entry.id, at_hash);
        done := done || entry.number;
      end loop;
      delete from audit.unsealed u where u.number = any (done);
    end if;
  end if;
  sealed := cardinality(done);
  waiting_seconds := coalesce(
    (select extract(epoch from clock_timestamp() - u.written_at) from audit.unsealed u order by u.number limit 1), 0);
end
$$;
comment on function audit.seal(int) is
  'Links entries that have no link yet; returns how many, and the age of the oldest that is left, in seconds (0: none).';
revoke execute on function audit.seal(int) from public;
