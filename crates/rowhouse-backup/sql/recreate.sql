-- Statements that put an empty database in the place of the connection's: of the same owner, encoding, locale and tablespace.
select
  format('drop database %I', d.datname),
  format(
    'create database %I template template0 owner %I encoding %L lc_collate %L lc_ctype %L%s tablespace %I connection limit %s',
    d.datname, owner.rolname, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
    case d.datlocprovider
      when 'i' then format(' locale_provider icu icu_locale %L', named.locale)
        || case when named.rules is null then '' else format(' icu_rules %L', named.rules) end
      when 'b' then format(' locale_provider builtin builtin_locale %L', named.locale)
      else ' locale_provider libc'
    end,
    space.spcname, d.datconnlimit),
  d.datname::text
from pg_catalog.pg_database d
join pg_catalog.pg_roles owner on owner.oid = d.datdba
join pg_catalog.pg_tablespace space on space.oid = d.dattablespace
-- The columns' names since PostgreSQL 17, and before.
cross join lateral (select coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules')
  as named (locale, rules)
where d.datname = current_database()
