-- What the statement of the session $1 is doing, and how much of that is done in percent.
select 'building an index, ' || phase, coalesce(100 * blocks_done / nullif(blocks_total, 0), 100 * tuples_done / nullif(tuples_total, 0))
from pg_stat_progress_create_index where pid = $1
union all
select 'writing a table anew, ' || phase, 100 * heap_blks_scanned / nullif(heap_blks_total, 0) from pg_stat_progress_cluster where pid = $1
union all
select 'vacuuming, ' || phase, 100 * heap_blks_scanned / nullif(heap_blks_total, 0) from pg_stat_progress_vacuum where pid = $1
union all
select 'analyzing, ' || phase, 100 * sample_blks_scanned / nullif(sample_blks_total, 0) from pg_stat_progress_analyze where pid = $1
union all
select 'copying', 100 * bytes_processed / nullif(bytes_total, 0) from pg_stat_progress_copy where pid = $1
limit 1
