-- Two tenants' projects, notes and tags: everything that a policy has to keep apart, reached in every way that there is.
create table public.projects (id int primary key, name text not null, size int, meta jsonb not null default '{}');
create table public.notes (
  id int primary key,
  body text not null,
  stars int,
  labels text[] not null default '{}',
  project_id int references public.projects,
  writer_id int,
  reader_id int
);
create table public.people (id int primary key, name text not null);
alter table public.notes
  add constraint notes_writer_fkey foreign key (writer_id) references public.people,
  add constraint notes_reader_fkey foreign key (reader_id) references public.people;
create table public.tags (id int primary key, name text not null);
create table public.notes_tags (
  note_id int references public.notes,
  tag_id int references public.tags,
  primary key (note_id, tag_id)
);
select tenancy.protect('public.projects'), tenancy.protect('public.notes'), tenancy.protect('public.people'),
       tenancy.protect('public.tags'), tenancy.protect('public.notes_tags');
grant select, insert, update, delete on all tables in schema public to authenticated;
-- A grant that the policies alone make harmless.
grant select on public.projects, public.notes to anon;

create view public.starred with (security_invoker = true) as select id, body, stars, project_id from public.notes where stars > 0;
grant select on public.starred to authenticated;
create function public.notes_with(fewest int) returns setof public.notes language sql stable as $$ select * from public.notes where stars >= fewest $$;
create function public.shout(public.notes) returns text language sql stable as $$ select upper($1.body) $$;
create function public.neighbours(public.notes) returns setof public.notes language sql stable as
  $$ select * from public.notes where project_id = $1.project_id $$;

-- Every text of a tenant ends in the tenant's own mark.
create function public.fill(tenant uuid, base int, mark text) returns void language sql as $$
  insert into public.people (id, name, tenant_id) select base + i, 'p' || i || mark, tenant from generate_series(1, 3) i;
  insert into public.projects (id, name, size, meta, tenant_id)
    select base + i, 'project' || i || mark, i, jsonb_build_object('k', 'v' || mark, 'n', i), tenant from generate_series(1, 3) i;
  insert into public.notes (id, body, stars, labels, project_id, writer_id, reader_id, tenant_id)
    select base + i, 'note' || i || mark, i % 4, array['l' || mark, 'x'], base + 1 + i % 3, base + 1 + i % 3, nullif(base + i % 3, base), tenant
    from generate_series(1, 9) i;
  insert into public.tags (id, name, tenant_id) select base + i, 't' || i || mark, tenant from generate_series(1, 3) i;
  insert into public.notes_tags (note_id, tag_id, tenant_id) select base + i, base + 1 + i % 3, tenant from generate_series(1, 9) i;
$$;
revoke execute on function public.fill from public;
