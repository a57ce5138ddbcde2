-- Names this moment in the WAL before the migration $1; a name has at most 63 bytes.
select point.name, pg_create_restore_point(point.name)::text
from (select left('rowhouse_' || to_char(clock_timestamp() at time zone 'utc', 'YYYYMMDDHH24MISSMS') || '_' || $1, 63) as name) point
