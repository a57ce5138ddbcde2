-- functions that the program's own queries call
grant usage on schema rowhouse to public;

alter table rowhouse.migrations enable row level security;
alter table rowhouse.migrations force row level security;
create policy owner_all on rowhouse.migrations to rowhouse_owner using (true) with check (true);

-- Raises RHROW, with the count as detail, unless low <= actual <= high; a null bound is open. As part of a statement
-- that writes rows, it rolls the writes back.
create function rowhouse.require_rows(actual bigint, low bigint, high bigint) returns void
language plpgsql immutable parallel safe as $$
begin
  if actual < low or actual > high then
    raise exception using errcode = 'RHROW', message = 'unexpected number of rows', detail = actual::text;
  end if;
end
$$;
grant execute on function rowhouse.require_rows(bigint, bigint, bigint) to public;
