-- What each table and column of the schema holds.

comment on table jobs.ready is 'jobs that can be fetched';
comment on column jobs.ready.id is 'the job';
comment on column jobs.ready.partition is 'its partition';
comment on column jobs.ready.position is 'order within the partition';
comment on column jobs.ready.attempt is 'runs so far';
comment on column jobs.ready.enqueued_at is 'when it was enqueued';
comment on column jobs.ready.payload is 'argument of the handler';
comment on column jobs.ready.options is 'optional properties, overriding those of its kind';

comment on table jobs.scheduled is 'jobs to be run later';
comment on column jobs.scheduled.id is 'the job';
comment on column jobs.scheduled.run_at is 'when it becomes ready';
comment on column jobs.scheduled.job is 'the whole row, as it will be in jobs.ready';

comment on table jobs.waiting is 'parents that wait for their children';
comment on column jobs.waiting.id is 'the job';
comment on column jobs.waiting.remaining is 'children that have not ended';
comment on column jobs.waiting.on_failure is 'what a dead child does to the parent';
comment on column jobs.waiting.job is 'the whole row, as it will be in jobs.ready';

comment on table jobs.leases is 'jobs that workers hold';
comment on column jobs.leases.id is 'key, random';
comment on column jobs.leases.worker is 'worker that holds it';
comment on column jobs.leases.queue is 'limited queue that they count against; null without limits';
comment on column jobs.leases.taken_at is 'when fetched';
comment on column jobs.leases.jobs is 'the whole rows';

comment on table jobs.done is 'jobs that succeeded, many per row';
comment on column jobs.done.id is 'key';
comment on column jobs.done.finished_at is 'when';
comment on column jobs.done.partition is 'their partition; null if they have several';
comment on column jobs.done.partitions is 'partition of each job in the order of ids; null if they have one';
comment on column jobs.done.ids is 'the jobs, in order';

comment on table jobs.results is 'results of jobs';
comment on column jobs.results.id is 'the job';
comment on column jobs.results.finished_at is 'when';
comment on column jobs.results.result is 'result of the handler';
comment on column jobs.results.partition is 'of the job, kept longer than the row of jobs.done';

comment on table jobs.dead is 'jobs that will not run again: out of attempts, or cancelled';
comment on column jobs.dead.id is 'the job';
comment on column jobs.dead.died_at is 'when';
comment on column jobs.dead.state is 'dead or cancelled';
comment on column jobs.dead.error is 'last failure, or who cancelled';
comment on column jobs.dead.job is 'the whole row';

comment on table jobs.log is 'log lines of jobs';
comment on column jobs.log.id is 'the job';
comment on column jobs.log.at is 'when';
comment on column jobs.log.attempt is 'attempt that wrote it';
comment on column jobs.log.line is 'text of at most 10,000 characters';

comment on table jobs.progress is 'progress of running jobs';
comment on column jobs.progress.id is 'the job';
comment on column jobs.progress.at is 'when reported';
comment on column jobs.progress.percent is 'from 0 to 100';
comment on column jobs.progress.note is 'what it is doing';

comment on table jobs.unique_keys is 'keys with an unfinished job';
comment on column jobs.unique_keys.key is 'for a tenant''s job prefixed by the tenant, so that tenants are separate';
comment on column jobs.unique_keys.id is 'the job that has it';

comment on table jobs.cancellations is 'running jobs that are to be cancelled';
comment on column jobs.cancellations.id is 'the job';
comment on column jobs.cancellations.asked_at is 'when it was asked';

comment on table jobs.recent_starts is 'latest starts of queues, tenants and keys with a rate';
comment on column jobs.recent_starts.scope is 'queue, or queue with tenant or key';
comment on column jobs.recent_starts.at is 'times of starts';
comment on column jobs.recent_starts.counts is 'how many at each of them';
comment on column jobs.recent_starts.last_at is 'the latest';
comment on table jobs.key_cursors is 'where the next scan of a partition with very many keys begins';
comment on column jobs.key_cursors.partition is 'the partition';
comment on column jobs.key_cursors.key is 'the last key scanned';

comment on table jobs.effects is 'effects that have happened, see jobs.once';
comment on column jobs.effects.key is 'name of the effect, prefixed by the tenant';
comment on column jobs.effects.at is 'when';

comment on table jobs.pauses is 'tenants whose jobs are paused';
comment on column jobs.pauses.queue is 'the queue; null means all';
comment on column jobs.pauses.tenant is 'the tenant';

comment on table jobs.turns is 'what one process does at a time, which locks the row';
comment on column jobs.turns.name is 'what';

comment on table jobs.measurement is 'figures that workers share, one row';
comment on column jobs.measurement.is_only is 'keeps it at one row';
comment on column jobs.measurement.workers is 'counted';
comment on column jobs.measurement.kinds is 'counted by kind';
comment on column jobs.measurement.at is 'when taken';

comment on table jobs.workers is 'workers and their heartbeats';
comment on column jobs.workers.id is 'key, new with every start';
comment on column jobs.workers.host is 'machine';
comment on column jobs.workers.pid is 'process';
comment on column jobs.workers.release is 'version of the program';
comment on column jobs.workers.started_at is 'start';
comment on column jobs.workers.beat_at is 'last heartbeat';

comment on table jobs.kinds is 'kinds of jobs that are known, with their rules';
comment on column jobs.kinds.name is 'as jobs.enqueue takes it';
comment on column jobs.kinds.handler is 'rowhouse, http or sql';
comment on column jobs.kinds.max_attempts is 'runs before it is dead';
comment on column jobs.kinds.timeout is 'longest run';
comment on column jobs.kinds.min_release is 'oldest release that can run it';

comment on table jobs.queues is 'queues with their limits';
comment on column jobs.queues.name is 'as options name it';
comment on column jobs.queues.declared is 'declared in the settings';
comment on column jobs.queues.paused is 'whether it is paused';
comment on column jobs.queues.is_limited is 'has any limit';
comment on column jobs.queues.concurrency is 'most at once';
comment on column jobs.queues.tenant_concurrency is 'most at once of a tenant';
comment on column jobs.queues.key_concurrency is 'most at once of a key';
comment on column jobs.queues.rate is 'most starts a second';
comment on column jobs.queues.tenant_rate is 'most starts a second of a tenant';
comment on column jobs.queues.key_rate is 'most starts a second of a key';

comment on table jobs.partitions is 'groups of jobs with the same queue, kind, tenant and priority, fetched in turns';
comment on column jobs.partitions.id is 'key';
comment on column jobs.partitions.queue is 'of its jobs';
comment on column jobs.partitions.kind is 'of its jobs';
comment on column jobs.partitions.tenant is 'of its jobs';
comment on column jobs.partitions.priority is 'of its jobs, lower first';
comment on column jobs.partitions.keyed is 'its jobs have concurrency keys';
comment on column jobs.partitions.opened is 'number of its last opening; null while no jobs are ready in it';
comment on column jobs.partitions.opened_at is 'when that was';

comment on table jobs.schedules is 'schedules of periodic jobs';
comment on column jobs.schedules.name is 'as settings or code name it';
comment on column jobs.schedules.kind is 'of the jobs';
comment on column jobs.schedules.payload is 'of the jobs';
comment on column jobs.schedules.queue is 'of the jobs';
comment on column jobs.schedules.cron is 'pattern';
comment on column jobs.schedules.timezone is 'time zone of the pattern';
comment on column jobs.schedules.jitter is 'longest random delay';
comment on column jobs.schedules.missed is 'policy for missed times';
comment on column jobs.schedules.declared is 'declared in settings or code';
comment on column jobs.schedules.built_in is 'built in';
comment on column jobs.schedules.paused is 'whether it is paused';
comment on column jobs.schedules.slot is 'next time of the pattern, without jitter';
comment on column jobs.schedules.next_at is 'next firing, with jitter';
comment on column jobs.schedules.last_at is 'last firing';
comment on column jobs.schedules.last_job is 'job of the last firing';
comment on column jobs.schedules.last_result is 'outcome of that job';
comment on column jobs.schedules.last_error is 'why the last firing enqueued no job';

comment on table jobs.allowed_functions is 'functions of the project that jobs may call';
comment on column jobs.allowed_functions.schema_name is 'schema of the function';
comment on column jobs.allowed_functions.function_name is 'name';
comment on column jobs.allowed_functions.arguments is 'types, as PostgreSQL prints them';
comment on column jobs.allowed_functions.allowed_at is 'since when';
