-- `alter role authenticator [in database …] set pgrst.… = …`; that for this database comes before that for all.
select distinct on (split_part(c.setting, '=', 1))
       split_part(c.setting, '=', 1),
       substr(c.setting, strpos(c.setting, '=') + 1)
from pg_db_role_setting s
join pg_roles r on r.oid = s.setrole
cross join unnest(s.setconfig) c (setting)
where r.rolname = $1::text
  and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
  and c.setting like 'pgrst.%'
order by split_part(c.setting, '=', 1), s.setdatabase desc
