-- Readiness checks whether the server can write files: a sort that does not fit into memory writes a temporary one,
-- which leaves no row behind. On a full disk it fails with 53100.
create function rowhouse.write_temporary_file() returns bigint
language sql volatile set work_mem = '64kB' as $$
  select count(*) from (select repeat('x', 1000) || n as line from generate_series(1, 200) n order by 1 offset 0) sorted
$$;
comment on function rowhouse.write_temporary_file() is 'Writes and removes a temporary file of some 200 kB; fails with 53100 on a full disk.';
revoke execute on function rowhouse.write_temporary_file() from public;
