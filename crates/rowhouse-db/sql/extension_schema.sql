-- The schema that an extension prescribes, if it does.
select versions.schema::text
from pg_available_extensions available
join pg_available_extension_versions versions
  on versions.name = available.name and versions.version = available.default_version
where available.name = $1
