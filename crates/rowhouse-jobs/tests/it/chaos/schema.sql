-- What the campaign sends and what is seen of it. Jobs say in their payload what they do ("do") and which family they
-- are of.
create schema chaos;
-- written in the transaction that enqueues; expect: done, dead, or any (somebody tried to cancel it)
create table chaos.sent (id bigint primary key, what text not null, expect text not null);
create table chaos.runs (
  id bigint not null, attempt smallint not null, lease bigint not null, what text not null, queue text not null, key text,
  started_at timestamptz not null default clock_timestamp(),
  -- null: it did not end, or its lease was gone when it did
  ended_at timestamptz
);
create index runs_id_idx on chaos.runs (id);
create table chaos.effects (id bigint not null);
create table chaos.ended (family bigint not null, id bigint not null, primary key (family, id));
create table chaos.refused (id bigint not null);
create table chaos.wrong (id bigint not null, what text not null);
insert into jobs.queues (name, concurrency) values ('narrow', 7);
insert into jobs.kinds (name) values ('jobs.noop'), ('chaos.act');

create sequence chaos.families;

create function chaos.send_family(fails boolean) returns void
language plpgsql as $$
declare
  family constant bigint := nextval('chaos.families');
  act constant jsonb := jsonb_build_object('kind', 'chaos.act', 'payload', jsonb_build_object('do', 'child', 'family', family));
  parent_id bigint;
begin
  parent_id := jobs.enqueue_parent(
    jsonb_build_object('kind', 'chaos.act', 'payload', jsonb_build_object('do', 'parent', 'family', family)),
    array[act, act, case when fails then jsonb_set(act, '{payload,do}', '"fatal"') else act end]);
  insert into chaos.sent values (parent_id, 'parent', case when fails then 'dead' else 'done' end);
  insert into chaos.sent
  select r.id, r.payload ->> 'do', case r.payload ->> 'do' when 'fatal' then 'dead' else 'done' end
  from jobs.ready r where r.options ->> 'parent' = parent_id::text;
end
$$;

-- One job of a random sort. `rolled_back`: its transaction is going to be rolled back.
create function chaos.send_one(rolled_back boolean) returns void
language plpgsql as $$
declare
  pick constant float := random();
  what constant text := case
    when rolled_back then 'rolled_back'
    when pick < 0.30 then 'short'
    when pick < 0.38 then 'work'
    when pick < 0.44 then 'result'
    when pick < 0.50 then 'flaky'
    when pick < 0.52 then 'fatal'
    when pick < 0.62 then 'effect'
    when pick < 0.70 then 'complete'
    when pick < 0.76 then 'unique'
    when pick < 0.82 then 'keyed'
    when pick < 0.92 then 'capped'
    else 'late' end;
  new_id bigint;
begin
  new_id := jobs.enqueue(
    'chaos.act', jsonb_build_object('do', what),
    queue => case when what = 'capped' then 'narrow' else 'default' end,
    run_at => case when what = 'late' then clock_timestamp() + random() * interval '3 s' end,
    priority => (3 + random() * 3)::int,
    tenant => case when random() < 0.5 then ('00000000-0000-0000-0000-00000000000' || (1 + random() * 3)::int)::uuid end,
    unique_key => case when what = 'unique' then 'u' || (random() * 5)::int end,
    key => case when what = 'keyed' then 'k' || (random() * 5)::int end);
  insert into chaos.sent values (new_id, what, case what when 'fatal' then 'dead' else 'done' end) on conflict do nothing;
  if random() < 0.01 then
    update chaos.sent set expect = 'any' where id = new_id;
    perform jobs.cancel(new_id);
  end if;
end
$$;

create function chaos.send(count int, rolled_back boolean) returns void
language plpgsql as $$
begin
  for n in 1 .. count loop
    perform chaos.send_one(rolled_back);
  end loop;
  if random() < 0.3 and not rolled_back then
    perform chaos.send_family(random() < 0.2);
  end if;
  with plain as (select i from jobs.enqueue_many('jobs.noop', array_fill('{}'::jsonb, array[case when rolled_back then 0 else count end])) i)
  insert into chaos.sent select i, 'noop', 'done' from plain;
end
$$;

-- Runs of a queue, or of one key of one tenant, at the same time, at most. Only runs that ended with their lease count: of the others
-- nobody knows how long they lasted.
create function chaos.overlap(of_queue text, by_key boolean) returns bigint
language sql as $$
  select coalesce(max(running), 0) from (
    select sum(step) over (partition by scope order by at, step rows unbounded preceding) as running from (
      select case when by_key then r.key end as scope, e.at, e.step
      from chaos.runs r cross join lateral (values (r.started_at, 1), (r.ended_at, -1)) e (at, step)
      where r.ended_at is not null and r.queue = of_queue and (r.key is not null or not by_key)) edges) sums
$$;

-- Everything that must not be; empty if the campaign holds.
create function chaos.verdict() returns table (finding text, figure bigint, example text)
language sql as $$
  with ended as (
    select i as id, 'done' as state from jobs.done d, unnest(d.ids) i union all select id, 'dead' from jobs.dead),
  findings (finding, id) as (
    select 'lost', s.id from chaos.sent s where not exists (select from ended e where e.id = s.id)
    union all select 'ended twice', id from ended group by id having count(*) > 1
    union all select 'never sent', e.id from ended e where not exists (select from chaos.sent s where s.id = e.id)
    union all select 'ended as ' || e.state || ' not ' || s.expect || ', ' || s.what, s.id
      from chaos.sent s join ended e using (id) where s.expect <> 'any' and s.expect <> e.state
    union all select 'rolled back and ran', id from chaos.runs where what = 'rolled_back'
    union all select 'effect twice', id from chaos.effects group by id having count(*) > 1
    union all select 'done without effect', e.id from ended e join chaos.sent s using (id)
      where e.state = 'done' and s.what in ('effect', 'complete') and not exists (select from chaos.effects f where f.id = e.id)
    union all select 'done and never run, ' || s.what, e.id from ended e join chaos.sent s using (id)
      where e.state = 'done' and s.what <> 'noop' and not exists (select from chaos.runs r where r.id = e.id)
    union all select w.what, w.id from chaos.wrong w
    union all select 'result of nobody', r.id from jobs.results r join chaos.sent s using (id) where s.what <> 'result'
    union all select 'stuck ready', id from jobs.ready
    union all select 'stuck scheduled', id from jobs.scheduled
    union all select 'stuck waiting', id from jobs.waiting
    union all select 'stuck lease', id from jobs.leases
    union all select 'stuck unique key', id from jobs.unique_keys
    union all select 'stuck cancellation', id from jobs.cancellations)
  select f.finding, count(*), min(f.id)::text from findings f group by 1
  union all
  select 'over the cap of a queue', n, null from chaos.overlap('narrow', false) n where n > 7
  union all
  select 'over the cap of a key', n, null from chaos.overlap('default', true) n where n > 1
$$;

-- What jobs call. A key is its tenant's own.
create function chaos.begin_run(job_id bigint, of_attempt smallint, of_lease bigint, what text) returns void
language sql as $$
  insert into chaos.runs (id, attempt, lease, what, queue, key)
  select job_id, of_attempt, of_lease, what, n.queue, coalesce(n.tenant || ' ', '') || (j.options ->> 'key')
  from jobs.leases l cross join unnest(l.jobs) j join jobs.partitions n on n.id = j.partition where l.id = of_lease and j.id = job_id
$$;

-- A run of a worker that was thought dead lasts longer than its lease, which proves nothing against a cap.
create function chaos.end_run(job_id bigint, of_attempt smallint, of_lease bigint) returns void
language sql as $$
  update chaos.runs r set ended_at = clock_timestamp() where r.id = job_id and r.attempt = of_attempt and r.lease = of_lease
  and exists (select from jobs.leases l, unnest(l.jobs) j where l.id = of_lease and j.id = job_id)
$$;

create function chaos.effect(job_id bigint) returns void
language sql as $$
  insert into chaos.effects select job_id where jobs.once('effect ' || job_id)
$$;

create function chaos.complete(job_id bigint, by_worker uuid, outcomes jsonb) returns void
language plpgsql as $$
begin
  perform chaos.effect(job_id);
  if jobs.complete(by_worker, outcomes) <> array[job_id] then
    raise exception 'refused';
  end if;
end
$$;

create function chaos.check_family(job_id bigint, of_family bigint) returns void
language sql as $$
  insert into chaos.wrong select job_id, 'ran before its children'
  where (select count(*) from chaos.ended e where e.family = of_family) <> 3
$$;
