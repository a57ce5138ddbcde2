-- what has been applied, once; read under the migration lock
do $$
begin
  if to_regclass('rowhouse.migrations') is not null then
    return;
  end if;
  set local role rowhouse_owner;
  create schema if not exists rowhouse;
  create table rowhouse.migrations (
    -- 'platform', 'project', or 'seed' for the one row that says development data was loaded
    kind text not null check (kind in ('platform', 'project', 'seed')),
    -- file name without folder; the time stamp in front gives the order
    name text not null,
    -- SHA-256 of the text, hex; a later difference is drift
    checksum text not null,
    -- version of the program that applied it
    program_version text not null,
    applied_at timestamptz not null default now(),
    constraint migrations_pkey primary key (kind, name)
  );
  reset role;
end
$$;
