-- Databases to try migrations in beside this one whose lock nobody holds and that nobody is connected to, and whether this login may
-- drop them. This session holds their locks from here on. The lock is taken of these alone, so conditions do not change places.
with named as materialized (
  select datname, pg_has_role(session_user, datdba, 'member') as may_drop from pg_database d
  where datname like format('rowhouse\_scratch\_%s\_%%', (select oid from pg_database where datname = current_database()))
    and not exists (select from pg_stat_activity a where a.datid = d.oid)
)
select datname::text, may_drop from named where pg_try_advisory_lock(hashtextextended(datname, 0)) order by datname
