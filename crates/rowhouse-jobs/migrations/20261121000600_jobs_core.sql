-- Durable jobs. A job is in exactly one of: ready (may run now), scheduled (later, or again after a failure), waiting (for
-- its children), leases (running), done, dead. No row is updated on the way from ready to done: a batch of ready rows is
-- deleted and becomes one lease that carries them, and a finished lease becomes one row of done.
create schema jobs;
grant usage on schema jobs to authenticated, service_role, rowhouse_project;

-- Kinds of jobs. A process writes its kinds here when it starts.
create table jobs.kinds (
  name text not null check (name ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' and length(name) <= 100),
  -- rowhouse (a handler in the program), http or sql
  handler text not null default 'rowhouse' check (handler in ('rowhouse', 'http', 'sql')),
  -- processes of an older release do not fetch it; compared part by part as numbers
  min_release text not null default '0' check (min_release ~ '^[0-9]+(\.[0-9]+){0,3}$'),
  max_attempts smallint not null default 20 check (max_attempts between 1 and 1000),
  timeout interval not null default interval '5 minutes' check (timeout between interval '10 milliseconds' and interval '1 day'),
  constraint kinds_pkey primary key (name)
);

-- Queues with their limits over all processes; null is none.
create table jobs.queues (
  name text not null check (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
  paused boolean not null default false,
  -- running at once: in the queue, for one tenant, with one key
  concurrency int check (concurrency > 0),
  tenant_concurrency int check (tenant_concurrency > 0),
  key_concurrency int not null default 1 check (key_concurrency > 0),
  -- starts a second
  rate double precision check (rate > 0),
  tenant_rate double precision check (tenant_rate > 0),
  key_rate double precision check (key_rate > 0),
  is_limited boolean not null generated always as
    (coalesce(concurrency, tenant_concurrency) is not null or coalesce(rate, tenant_rate) is not null) stored,
  constraint queues_pkey primary key (name)
);
insert into jobs.queues (name) values ('default');

-- What one process does at a time locks its row here. Advisory locks would not do: any session of the database may take
-- them, and a function of the project may leave them in a session of the data API.
create table jobs.turns (
  name text not null,
  constraint turns_pkey primary key (name)
);
insert into jobs.turns (name) values ('close_idle_partitions'), ('measure'), ('rescue'), ('sync');

-- Takes a turn until the end of the transaction, unless somebody else has it.
create function jobs.try_turn(of_name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from jobs.turns t where t.name = of_name for update skip locked;
  return found;
end
$$;

-- Tenants whose jobs are paused, in one queue or (null) in all.
create table jobs.pauses (
  tenant uuid not null,
  queue text references jobs.queues (name) on delete cascade,
  constraint pauses_tenant_queue_key unique nulls not distinct (tenant, queue)
);

create sequence jobs.openings;
-- Groups of jobs with the same queue, kind, tenant and priority. Values that many ready rows share are stored here once.
create table jobs.partitions (
  id int generated always as identity,
  queue text not null references jobs.queues (name),
  kind text not null references jobs.kinds (name),
  tenant uuid,
  -- 0 first, 9 last
  priority smallint not null check (priority between 0 and 9),
  -- its jobs have concurrency keys
  keyed boolean not null,
  -- a new number whenever the partition is opened, so that workers find new ones; null: closed, no jobs are ready in it
  opened bigint default nextval('jobs.openings'),
  opened_at timestamptz not null default clock_timestamp(),
  constraint partitions_pkey primary key (id),
  constraint partitions_queue_kind_tenant_priority_keyed_key unique nulls not distinct (queue, kind, tenant, priority, keyed)
);

create index partitions_opened_idx on jobs.partitions (opened) where opened is not null;

create sequence jobs.ids;
-- Order within a partition; a job that comes back goes to the end.
create sequence jobs.positions;

create table jobs.ready (
  partition int not null,
  -- An insert gets a transaction id before it draws a position: workers skip lower positions once no transaction is
  -- left that could still add one.
  position bigint not null default nextval('jobs.positions'),
  id bigint not null default nextval('jobs.ids'),
  enqueued_at timestamptz not null default clock_timestamp(),
  -- runs so far
  attempt smallint not null default 0,
  -- null is {}
  payload jsonb,
  -- optional properties: key, unique_key, parent, max_attempts, timeout (seconds), request_id
  options jsonb
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_threshold = -1);
-- so that its size is known without detoasting
alter table jobs.ready alter payload set storage external;
create unique index ready_partition_position_idx on jobs.ready (partition, position);
-- partial, so that most rows are in no further index
create index ready_partition_key_idx on jobs.ready (partition, (options ->> 'key'), position) where options ? 'key';
create index ready_parent_idx on jobs.ready ((options ->> 'parent')) where options ? 'parent';
-- ids follow the physical order: finds one job at almost no cost per insert
create index ready_id_idx on jobs.ready using brin (id) with (pages_per_range = 32, autosummarize = on);

create table jobs.scheduled (
  run_at timestamptz not null,
  job jobs.ready not null,
  id bigint not null generated always as ((job).id) stored,
  constraint scheduled_pkey primary key (id)
);
create index scheduled_run_at_idx on jobs.scheduled (run_at);
create index scheduled_parent_idx on jobs.scheduled (((job).options ->> 'parent')) where (job).options ? 'parent';

create table jobs.waiting (
  id bigint not null,
  job jobs.ready not null,
  -- children that have not ended
  remaining int not null check (remaining >= 0),
  -- what a dead child does to the parent
  on_failure text not null default 'fail' check (on_failure in ('fail', 'ignore')),
  constraint waiting_pkey primary key (id)
);
create index waiting_parent_idx on jobs.waiting (((job).options ->> 'parent')) where (job).options ? 'parent';

create table jobs.workers (
  id uuid not null,
  release text not null,
  host text not null,
  pid int not null,
  started_at timestamptz not null default clock_timestamp(),
  beat_at timestamptz not null default clock_timestamp(),
  constraint workers_pkey primary key (id)
);

-- Running jobs. The row is the right to complete them: a worker that has lost it cannot.
create table jobs.leases (
  -- random, generated by the worker: a sequence could repeat numbers after a crash, since fetches commit asynchronously
  id bigint not null,
  worker uuid not null,
  taken_at timestamptz not null default clock_timestamp(),
  -- set for a limited queue, whose running jobs are counted here
  queue text,
  jobs jobs.ready[] not null,
  constraint leases_pkey primary key (id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index leases_queue_idx on jobs.leases (queue) where queue is not null;

-- The range of ids that the jobs of one row of jobs.done share, so that the row of a given job is found.
create function jobs.id_range(id bigint) returns bigint
language sql immutable parallel safe return id / 10000;

create table jobs.done (
  id bigint generated always as identity,
  finished_at timestamptz not null default clock_timestamp(),
  -- of all its jobs; or of each in turn, so that the jobs of many tenants that end together are one row, too
  partition int,
  partitions int[],
  ids bigint[] not null,
  constraint done_pkey primary key (id),
  constraint done_partition_partitions_check check (num_nonnulls(partition, partitions) = 1)
);
create index done_ids_idx on jobs.done (jobs.id_range(ids[1]));
create index done_finished_at_idx on jobs.done using brin (finished_at);

-- These are written for every batch, and pglz would take longer than the rest of it.
do $$
begin
  alter table jobs.leases alter jobs set compression lz4;
  alter table jobs.done alter partitions set compression lz4, alter ids set compression lz4;
exception when feature_not_supported then
  raise notice 'this PostgreSQL is built without lz4; claims of many jobs take longer';
end
$$;

-- What a job returned, if anything.
create table jobs.results (
  id bigint not null,
  finished_at timestamptz not null default clock_timestamp(),
  result jsonb not null,
  -- stored here, since results are kept longer than the row of jobs.done
  partition int not null,
  constraint results_pkey primary key (id)
);
create index results_finished_at_idx on jobs.results using brin (finished_at);

create table jobs.dead (
  id bigint not null,
  died_at timestamptz not null default clock_timestamp(),
  state text not null check (state in ('dead', 'cancelled')),
  error text not null,
  job jobs.ready not null,
  constraint dead_pkey primary key (id)
);
create index dead_died_at_idx on jobs.dead (died_at);
create index dead_parent_idx on jobs.dead (((job).options ->> 'parent')) where (job).options ? 'parent';

-- Log lines of jobs' runs: failures, and lines of handlers.
create table jobs.log (
  id bigint not null,
  at timestamptz not null default clock_timestamp(),
  attempt smallint not null,
  line text not null check (length(line) <= 10000)
);
create index log_id_idx on jobs.log (id);
create index log_at_idx on jobs.log using brin (at);

create table jobs.progress (
  id bigint not null,
  at timestamptz not null default clock_timestamp(),
  percent real not null check (percent between 0 and 100),
  note text check (length(note) <= 1000),
  constraint progress_pkey primary key (id)
);
create index progress_at_idx on jobs.progress using brin (at);

-- One unfinished job per key.
create table jobs.unique_keys (
  -- for a tenant's job "<tenant> <key>", so that tenants are separate
  key text not null check (length(key) <= 540),
  id bigint not null,
  constraint unique_keys_pkey primary key (key)
);

-- Running jobs that are to be cancelled.
create table jobs.cancellations (
  id bigint not null,
  asked_at timestamptz not null default clock_timestamp(),
  constraint cancellations_pkey primary key (id)
);

-- Latest starts of queues, tenants and keys with a rate: when, and how many.
create table jobs.recent_starts (
  scope text not null,
  at timestamptz[] not null,
  counts int[] not null,
  last_at timestamptz not null,
  constraint recent_starts_pkey primary key (scope)
);
create index recent_starts_last_at_idx on jobs.recent_starts (last_at);

-- Keys of effects that have happened; see jobs.once.
create table jobs.effects (
  key text not null check (length(key) <= 540),
  at timestamptz not null default clock_timestamp(),
  constraint effects_pkey primary key (key)
);
create index effects_at_idx on jobs.effects using brin (at);

do $$
declare
  name text;
begin
  for name in select relname from pg_class where relnamespace = 'jobs'::regnamespace and relkind = 'r' loop
    execute format('alter table jobs.%I enable row level security', name);
    execute format('alter table jobs.%I force row level security', name);
    execute format('create policy owner_all on jobs.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;
