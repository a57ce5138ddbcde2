-- applied migrations, once each; read under the migration lock
do $$
begin
  if to_regclass('rowhouse.migrations') is not null then
    return;
  end if;
  set local role rowhouse_owner;
  create schema if not exists rowhouse;
  create table rowhouse.migrations (
    -- 'platform', 'project', or 'seed' for the row that records loading of development data
    kind text not null check (kind in ('platform', 'project', 'seed')),
    -- file name without folder; its timestamp gives the order
    name text not null,
    -- SHA-256 of the text, hex; a different text later is refused as drift
    checksum text not null,
    -- version of the program that applied it
    program_version text not null,
    applied_at timestamptz not null default now(),
    -- the login, and the account of the operator where it is known
    applied_by text not null default session_user,
    -- how long it took
    millis bigint,
    -- what lint said before: passed, failed (in development), skipped (by --no-lint); null where nobody asked
    lint text constraint migrations_lint_check check (lint in ('passed', 'failed', 'skipped')),
    -- what came of the smoke queries after the run; null where there were none
    smoke text constraint migrations_smoke_check check (smoke in ('passed', 'failed')),
    constraint migrations_pkey primary key (kind, name)
  );
  comment on table rowhouse.migrations is 'migrations that have been applied, once each';
  comment on column rowhouse.migrations.kind is 'platform, project, or seed for the row that says development data was loaded';
  comment on column rowhouse.migrations.name is 'file name without folder; the time stamp in front gives the order';
  comment on column rowhouse.migrations.checksum is 'SHA-256 of the text, hex; a different text later is refused as drift';
  comment on column rowhouse.migrations.program_version is 'version of the program that applied it';
  comment on column rowhouse.migrations.applied_at is 'when';
  comment on column rowhouse.migrations.applied_by is 'the login, and the account of the operator where it is known';
  comment on column rowhouse.migrations.millis is 'how long it took';
  comment on column rowhouse.migrations.smoke is 'what came of the smoke queries after the run: passed, failed; null where there were none';
  comment on column rowhouse.migrations.lint is 'what lint said before: passed, failed, skipped; null where nobody asked';
  create table rowhouse.schema_objects (
    object text not null,
    digest text not null,
    constraint schema_objects_pkey primary key (object)
  );
  comment on table rowhouse.schema_objects is 'what the project''s schemas consist of, as its migrations left them';
  comment on column rowhouse.schema_objects.object is 'kind and name: table public.todos';
  comment on column rowhouse.schema_objects.digest is 'SHA-256 of its definition, hex';
  create table rowhouse.begun_migrations (
    name text not null,
    objects text[] not null,
    digests text[] not null,
    constraint begun_migrations_pkey primary key (name)
  );
  comment on table rowhouse.begun_migrations is 'what was there before a migration without a transaction that has not ended: a run that died leaves its row';
  comment on column rowhouse.begun_migrations.name is 'its file name';
  comment on column rowhouse.begun_migrations.objects is 'kind and name of each object: table public.todos';
  comment on column rowhouse.begun_migrations.digests is 'SHA-256 of the definition of each, hex';
  reset role;
end
$$;
