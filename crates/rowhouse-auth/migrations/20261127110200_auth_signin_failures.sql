-- Wrong passwords, counted by account and network of the client, and by account over all networks. Unknown addresses are
-- counted alike, so that a lock does not reveal which are known. A user's own networks are not locked by what others try
-- from elsewhere, so that a stranger's guesses keep nobody out.

-- The network that an address is counted as: one IPv4 address, or 64 bits of IPv6.
create function auth.network_of(address inet) returns cidr
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when address is null then '0.0.0.0/32'::cidr
    when family(address) = 4 then set_masklen(address::cidr, 32)
    else network(set_masklen(address, 64)) end
$$;
comment on function auth.network_of(inet) is 'The network that a client''s address is counted as: /32 of IPv4, /64 of IPv6.';

create table auth.signin_failures (
  account_digest text not null,
  network cidr not null,
  user_id uuid,
  failures int not null,
  locks int not null,
  locked_until timestamptz,
  updated_at timestamptz not null,
  told_at timestamptz,
  constraint signin_failures_pkey primary key (account_digest, network),
  constraint signin_failures_account_digest_check check (length(account_digest) = 64),
  constraint signin_failures_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index signin_failures_updated_at_idx on auth.signin_failures (updated_at);
create index signin_failures_user_id_idx on auth.signin_failures (user_id);
comment on table auth.signin_failures is 'Wrong passwords by account and network; an entry goes a day after the last one.';
comment on column auth.signin_failures.account_digest is 'SHA-256 of the address or number that was given, in hex.';
comment on column auth.signin_failures.network is 'Network of the client; 0.0.0.0/0 for all together.';
comment on column auth.signin_failures.user_id is 'The user with that address, if there is one.';
comment on column auth.signin_failures.failures is 'Consecutive wrong passwords since the last lock.';
comment on column auth.signin_failures.locks is 'Locks so far; each lasts twice as long as the one before.';
comment on column auth.signin_failures.locked_until is 'Until when sign-ins are refused.';
comment on column auth.signin_failures.updated_at is 'When the last sign-in failed.';
comment on column auth.signin_failures.told_at is 'When the user was told of a lock, in the row for all networks.';

create table auth.known_networks (
  user_id uuid not null,
  network cidr not null,
  last_seen_at timestamptz not null,
  constraint known_networks_pkey primary key (user_id, network),
  constraint known_networks_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index known_networks_last_seen_at_idx on auth.known_networks (last_seen_at);
comment on table auth.known_networks is 'Networks from which users have signed in, 50 at most of each; those of 180 days ago go.';
comment on column auth.known_networks.user_id is 'The user.';
comment on column auth.known_networks.network is 'The network.';
comment on column auth.known_networks.last_seen_at is 'The latest sign-in from there, to the day.';

alter table auth.signin_failures enable row level security;
alter table auth.signin_failures force row level security;
create policy owner_all on auth.signin_failures to rowhouse_owner using (true) with check (true);
alter table auth.known_networks enable row level security;
alter table auth.known_networks force row level security;
create policy owner_all on auth.known_networks to rowhouse_owner using (true) with check (true);

-- Counts a wrong password for the client's network and for all networks together. The nth in a row locks: for duration
-- at first, then twice as long each time, up to an hour. Counts start anew after a day.
create function auth.count_failed_signin(
  digest text, about uuid, client inet, most int, most_of_all int, duration interval, at timestamptz
) returns cidr
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  spot record;
  counted auth.signin_failures;
  locked cidr;
begin
  for spot in
    select * from (values (auth.network_of(client), most), ('0.0.0.0/0'::cidr, most_of_all)) v (network, most)
  loop
    insert into auth.signin_failures as f (account_digest, network, user_id, failures, locks, updated_at)
    values (digest, spot.network, about, 1, 0, at)
    on conflict (account_digest, network) do update
    set failures = case when f.updated_at < at - interval '1 day' then 1 else f.failures + 1 end,
      locks = case when f.updated_at < at - interval '1 day' then 0 else f.locks end,
      user_id = excluded.user_id, updated_at = at
    returning f.* into counted;
    if counted.failures >= spot.most then
      update auth.signin_failures f
      set failures = 0, locks = f.locks + 1, locked_until = at + least(duration * (2 ^ least(f.locks, 10)), greatest(interval '1 hour', duration))
      where f.account_digest = digest and f.network = spot.network;
      locked := spot.network;
    end if;
  end loop;
  return locked;
end
$$;
comment on function auth.count_failed_signin(text, uuid, inet, int, int, interval, timestamptz) is
  'Counts a wrong password for an account, by network and over all networks; returns the network that is locked now, if any.';
