-- Whether the tenant is active, and the first of the addresses that it has not proved; null if it has proved all. The proof
-- of a domain holds as long as its record is there, that of an address for $4 seconds.
select jobs.claims_of($1) is not null, (
  select a.address
  from unnest($2::text[], $3::text[]) with ordinality a (address, domain, place)
  where not exists (
    select from mail.senders s where s.tenant = $1 and s.proved_at is not null and s.name in (a.address, a.domain)
      and (s.kind = 'domain' or s.proved_at > clock_timestamp() - make_interval(secs => $4)))
  order by a.place
  limit 1)
