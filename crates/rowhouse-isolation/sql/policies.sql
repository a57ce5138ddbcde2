-- Every policy with its expressions as PostgreSQL stores them.
select p.oid::int8, p.polrelid::int8 as relation, p.polrelid::regclass::text as relation_name, p.polname::text as name,
  p.polcmd::text as command, p.polqual::text as using_tree, p.polwithcheck::text as check_tree
from pg_policy p
order by p.oid
