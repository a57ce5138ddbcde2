-- Lists that todos can be put on, and priorities that all tenants share.

create table public.lists (
  id bigint generated always as identity primary key,
  name text not null constraint lists_name_check check (length(trim(name)) between 1 and 80),
  created_at timestamptz not null default now()
);
comment on table public.lists is 'What todos can be put on.';
-- Adds tenant_id with its default, an index, forced row-level security and the policies. From here on nobody sees or
-- changes the row of another tenant, whatever the front end asks for.
select tenancy.protect('public.lists');
-- A name is unique within its tenant; two tenants may both have a list "Home".
alter table public.lists add constraint lists_tenant_id_name_key unique (tenant_id, name);
-- Which columns and verbs a signed-in user may use at all is a decision of the product, so it is written down.
grant select, insert, update, delete on public.lists to authenticated;

-- The same for everybody; share() lets every signed-in user read it and no tenant write it.
create table public.priorities (
  name text primary key,
  rank bigint not null constraint priorities_rank_key unique
);
comment on table public.priorities is 'How urgent a todo can be.';
select tenancy.share('public.priorities');
