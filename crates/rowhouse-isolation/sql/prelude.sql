-- What all checks read; a check's own statement follows. $1 is the input: schemas, served, tenant_columns, callers, login, and
-- the judged expressions of policies. A check returns relation, object, detail and fix.
with recursive input as (
  select $1::jsonb as data
),
-- the data plane's login, and the roles in which requests of callers run
plane as (
  select r.oid, r.rolname as name, r.rolname = data ->> 'login' as is_login, r.rolsuper or r.rolbypassrls as is_elevated
  from pg_roles r cross join input
  where r.rolname = data ->> 'login' or data -> 'callers' ? r.rolname::text
    or exists (
      select from pg_auth_members m join pg_roles l on l.oid = m.member
      where m.roleid = r.oid and l.rolname = data ->> 'login')
),
-- callers under row-level security; a check of its own names the others
callers as (
  select oid, name from plane where not is_login and not is_elevated
),
relations as (
  select c.oid, c.relkind as kind, c.relnamespace as namespace, c.relname as bare_name,
    format('%I.%I', n.nspname, c.relname) as name, c.relowner as owner,
    c.relrowsecurity as is_secured, c.relforcerowsecurity as is_forced, c.relispartition as is_partition,
    data -> 'served' ? n.nspname::text as is_served,
    coalesce((select bool_or(option_value::boolean) from pg_options_to_table(c.reloptions)
      where option_name = 'security_invoker'), false) as is_invoker,
    t.attnum as tenant_number, t.attname as tenant_column, t.attnotnull as has_tenant_always,
    -- where the helpers of the platform fit
    t.attname = 'tenant_id' and t.atttypid = 'uuid'::regtype as is_standard
  from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join input
  left join lateral (
    select a.attnum, a.attname, a.attnotnull, a.atttypid
    from jsonb_array_elements_text(data -> 'tenant_columns') with ordinality as w (name, place)
    join pg_attribute a on a.attrelid = c.oid and a.attname = w.name
    where a.attnum > 0 and not a.attisdropped
    order by w.place limit 1
  ) t on true
  where data -> 'schemas' ? n.nspname::text and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
),
-- what partitions and children come from
ancestors as (
  select r.oid as child, i.inhparent as parent from relations r join pg_inherits i on i.inhrelid = r.oid
  union
  select a.child, i.inhparent from ancestors a join pg_inherits i on i.inhrelid = a.parent
),
children as (
  select a.child, min(p.oid::regclass::text) as of_protected
  from ancestors a join pg_class p on p.oid = a.parent and p.relrowsecurity
  group by a.child
),
-- which privileges callers have, however they got them
reach as (
  select r.oid as relation, c.oid as caller_oid, c.name as caller, v.verbs
  from relations r cross join callers c cross join lateral (
    select array_agg(verb order by place) as verbs
    from unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'])
      with ordinality as v (verb, place)
    where case when verb in ('select', 'insert', 'update', 'references')
      then has_any_column_privilege(c.oid, r.oid, verb) else has_table_privilege(c.oid, r.oid, verb) end
  ) v
  where has_schema_privilege(c.oid, r.namespace, 'usage') and v.verbs is not null
),
open_to as (
  select relation, string_agg(caller::text, ' and ' order by caller) as callers,
    string_agg(format('%s may %s', caller, (
      select string_agg(verb, ', ' order by array_position(verbs, verb)) from unnest(verbs) as verb
      where verb in ('select', 'insert', 'update', 'delete'))), '; ' order by caller) as sentence
  from reach
  where verbs && array['select', 'insert', 'update', 'delete']
  group by relation
),
-- the grants behind that
weak_grants as (
  select distinct a.relation, lower(a.privilege_type) as verb, c.name as caller,
    case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee
  from (
    select r.oid as relation, r.owner, x.privilege_type, x.grantee
    from relations r join pg_class k on k.oid = r.oid cross join lateral aclexplode(k.relacl) x
    union all
    select r.oid, r.owner, x.privilege_type, x.grantee
    from relations r join pg_attribute t on t.attrelid = r.oid cross join lateral aclexplode(t.attacl) x
  ) a
  join callers c on a.grantee = 0 or (a.grantee <> a.owner and pg_has_role(c.oid, a.grantee, 'usage'))
),
policies as (
  select p.oid, p.polrelid as relation, p.polname as name, p.polcmd as command, p.polpermissive as is_permissive,
    p.polroles as roles, pg_get_expr(p.polqual, p.polrelid) as using_text,
    pg_get_expr(p.polwithcheck, p.polrelid) as check_text
  from pg_policy p
),
expressions as (
  select e.* from input cross join lateral jsonb_to_recordset(data -> 'expressions') as e (
    policy oid, side text, inherited boolean, constant boolean, names_row boolean, row_bound boolean, row_lenient boolean,
    tenant_bound boolean, tenant_lenient boolean, owner_bound boolean, asks_caller boolean, reads oid[], per_row text[],
    volatile text[], strict_setting boolean, bare_cast boolean, editable_claims boolean,
    email boolean, fixed_id boolean)
),
-- which expression decides about a verb of a caller
permits as (
  select p.oid as policy, p.relation, p.name, p.is_permissive, c.name as caller, v.verb, v.side, e.inherited, e.constant,
    e.names_row, e.row_lenient, e.tenant_bound, e.tenant_lenient, e.asks_caller, e.reads
  from policies p
  join callers c on exists (
    select from unnest(p.roles) as role where case when role = 0 then true else pg_has_role(c.oid, role, 'usage') end)
  join (values ('select', 'r', 'using'), ('insert', 'a', 'check'), ('update', 'w', 'using'), ('update', 'w', 'check'),
    ('delete', 'd', 'using')) as v (verb, command, side) on p.command::text in ('*', v.command)
  join expressions e on e.policy = p.oid and e.side = v.side
),
-- permissive ones that no restrictive policy holds to the tenant
open_permits as (
  select m.* from permits m
  where m.is_permissive and not exists (
    select from permits h
    where not h.is_permissive and h.relation = m.relation and h.caller = m.caller and h.verb = m.verb and h.side = m.side
      and h.tenant_bound)
),
-- tables that every row of is meant to be read by everybody
shared as (
  select distinct r.oid from relations r join policies p on p.relation = r.oid
  where r.is_secured and r.is_forced and r.tenant_number is null and p.name = 'shared_select'
),
-- what a view reads, also through other views
reads as (
  select v.oid as viewer, d.refobjid as relation
  from relations v join pg_rewrite w on w.ev_class = v.oid
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
  where v.kind in ('v', 'm') and d.refobjid <> v.oid
  union
  select r.viewer, d.refobjid
  from reads r join pg_rewrite w on w.ev_class = r.relation
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
  where d.refobjid <> r.relation
),
-- tables behind views whose rows not everybody may read, and whether the view's owner may read all of them
behind as (
  select distinct d.viewer, b.oid as relation, b.oid::regclass::text as name, b.relrowsecurity as is_secured,
    w.rolsuper or w.rolbypassrls
      or (pg_has_role(v.owner, b.relowner, 'usage') and not b.relforcerowsecurity)
      or exists (
        select from policies p join expressions e on e.policy = p.oid and e.side = 'using'
        where p.relation = b.oid and p.is_permissive and p.command in ('*', 'r') and not e.owner_bound
          and exists (select from unnest(p.roles) as role
            where case when role = 0 then true else pg_has_role(v.owner, role, 'usage') end)) as is_all
  from reads d join relations v on v.oid = d.viewer join pg_roles w on w.oid = v.owner
  join pg_class b on b.oid = d.relation and b.relkind in ('r', 'p')
  where not exists (
    select from permits m where m.relation = b.oid and m.is_permissive and m.verb = 'select' and m.constant)
),
-- functions that run with their owner's rights, and who may call them
definers as (
  select p.oid, p.oid::regprocedure::text as name, p.proowner as owner, p.proconfig as settings, p.pronamespace as namespace,
    (select data -> 'served' from input) ? n.nspname::text as is_served,
    string_agg(c.name::text, ' and ' order by c.name) as callers, bool_or(c.name = 'anon') as is_for_anon
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  join callers c on has_schema_privilege(c.oid, n.oid, 'usage') and has_function_privilege(c.oid, p.oid, 'execute')
  where p.prosecdef and (select data -> 'schemas' from input) ? n.nspname::text
    and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  group by p.oid, n.oid, n.nspname
)
