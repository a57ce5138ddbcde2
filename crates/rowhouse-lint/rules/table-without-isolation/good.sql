create table public.notes (id bigint generated always as identity primary key, body text not null);
select tenancy.protect('public.notes');

create table public.settings (tenant_id uuid not null, name text not null, constraint settings_pkey primary key (tenant_id, name));
alter table public.settings enable row level security, force row level security;
