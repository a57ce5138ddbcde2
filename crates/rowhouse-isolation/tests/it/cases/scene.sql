-- What cases begin with: three tenant tables and one without tenant under forced row-level security, and memberships.
do $$
declare
  name text;
begin
  foreach name in array array['notes', 'more', 'rest'] loop
    execute format('create table public.%I (id uuid primary key, tenant_id uuid not null, owner_id uuid, is_public boolean not null default false, body text)', name);
    execute format('create index %I on public.%I (tenant_id)', name || '_tenant_id_idx', name);
  end loop;
  create table public.things (id uuid primary key, owner_id uuid, body text);
  create table public.members (user_id uuid, org_id uuid, primary key (user_id, org_id));
  create policy own on public.members for select to authenticated using (user_id = (select auth.uid()));
  foreach name in array array['notes', 'more', 'rest', 'things', 'members'] loop
    execute format('alter table public.%I enable row level security', name);
    execute format('alter table public.%I force row level security', name);
    execute format('grant select, insert, update, delete on public.%I to authenticated', name);
  end loop;
end
$$;
-- readable by nobody, but by functions and policies
create table public.open_members (user_id uuid, org_id uuid, primary key (user_id, org_id));
