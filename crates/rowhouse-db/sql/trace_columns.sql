-- The columns of a table that can be written, quoted where they have to be; none if it is not there.
select format('%I', attname), pg_get_serial_sequence($1, attname)
from pg_attribute
where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum
