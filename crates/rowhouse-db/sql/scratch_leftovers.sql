-- Databases to try migrations in beside this one whose lock nobody holds; this session holds it from here on.
select datname::text from pg_database
where datname like format('rowhouse\_scratch\_%s\_%%', (select oid from pg_database where datname = current_database()))
  and pg_has_role(session_user, datdba, 'member')
  and pg_try_advisory_lock(hashtextextended(datname, 0))
