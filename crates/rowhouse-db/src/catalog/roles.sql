-- Settings of roles (`alter role … set`), as far as any user may change them. `set role` alone does not apply them.
select r.rolname::text,
       split_part(c.setting, '=', 1),
       substr(c.setting, strpos(c.setting, '=') + 1)
from pg_roles r
cross join unnest(r.rolconfig) c (setting)
left join pg_settings s on s.name = split_part(c.setting, '=', 1)
where not r.rolcanlogin
  and (s.context = 'user' or s.name is null and c.setting like '%.%=%')
  and split_part(c.setting, '=', 1) not in (
    'role', 'session_authorization', 'row_security', 'transaction_read_only', 'default_transaction_read_only',
    'transaction_isolation', 'client_encoding', 'datestyle', 'bytea_output')
  and split_part(c.setting, '=', 1) not like 'request.%'
order by 1, 2
