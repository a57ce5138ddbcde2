-- Identity asks before it deletes an account.
create function auth.owned_alone_by(member uuid) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Locked, so that of two owners who are deleted at the same time one stays.
  perform from tenancy.organizations o where o.id in (
    select m.organization_id from tenancy.organization_members m where m.user_id = member and m.role = 'owner')
  order by o.id for no key update;
  return (
    select min(o.slug)
    from tenancy.organization_members m
    join tenancy.organizations o on o.id = m.organization_id and o.status <> 'deleted'
    where m.user_id = member and m.role = 'owner' and m.status = 'active'
      and not exists (
        select from tenancy.organization_members c
        where c.organization_id = o.id and c.user_id <> member and c.role = 'owner' and c.status = 'active')
      and exists (
        select from tenancy.organization_members c
        where c.organization_id = o.id and c.user_id <> member and c.status = 'active'));
end
$$;
comment on function auth.owned_alone_by(uuid) is
  'An organization with other active members of which the user is the only active owner: its slug; null if there is none.';
revoke execute on function auth.owned_alone_by(uuid) from public;
