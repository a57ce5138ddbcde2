create function public.plan(int) returns void language sql as '';
create function public.finish() returns void language sql as '';
create function public.throws_ok(statement text, state text, said text, name text) returns void language plpgsql as $$
declare
  found_state text := '00000';
begin
  begin
    execute statement;
  exception when others then
    found_state := sqlstate;
  end;
  if found_state <> state then
    raise exception 'not ok: %: % in place of %', name, found_state, state;
  end if;
end $$;
create function public.is_empty(statement text, name text) returns void language plpgsql as $$
declare
  one record;
begin
  for one in execute statement loop
    raise exception 'not ok: %', name;
  end loop;
end $$;
