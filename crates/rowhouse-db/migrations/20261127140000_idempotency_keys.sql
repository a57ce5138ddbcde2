-- `Idempotency-Key` of requests: the same request with the same key has one effect, whichever process gets it.
create table rowhouse.idempotency_keys (
  id bigint not null generated always as identity,
  tenant_id uuid,
  caller text not null,
  key text not null,
  request_digest text not null,
  expires_at timestamptz not null,
  status smallint,
  content_type text,
  etag text,
  body bytea,
  constraint idempotency_keys_pkey primary key (id),
  constraint idempotency_keys_tenant_id_caller_key_key unique nulls not distinct (tenant_id, caller, key),
  constraint idempotency_keys_caller_check check (length(caller) between 1 and 100),
  constraint idempotency_keys_key_check check (octet_length(key) between 1 and 255),
  constraint idempotency_keys_request_digest_check check (request_digest ~ '^[0-9a-f]{64}$'),
  constraint idempotency_keys_status_check check (status between 200 and 499),
  constraint idempotency_keys_content_type_check check (length(content_type) <= 255),
  constraint idempotency_keys_etag_check check (length(etag) <= 255),
  constraint idempotency_keys_body_check check (octet_length(body) <= 16384),
  constraint idempotency_keys_status_body_check check ((status is null) = (body is null))
);
create index idempotency_keys_expires_at_idx on rowhouse.idempotency_keys (expires_at);
create index idempotency_keys_tenant_id_caller_expires_at_idx
  on rowhouse.idempotency_keys (tenant_id, caller, expires_at) where status is not null;

comment on table rowhouse.idempotency_keys is
  'Requests that carried an Idempotency-Key, and their answers. Claimed before the request runs; the answer is written with the effect.';
comment on column rowhouse.idempotency_keys.id is 'The claim: whoever takes an expired key over gets another number.';
comment on column rowhouse.idempotency_keys.tenant_id is 'The tenant of the caller''s token; null outside of one.';
comment on column rowhouse.idempotency_keys.caller is 'user/ID, or role/NAME of a caller who is no user.';
comment on column rowhouse.idempotency_keys.key is 'As the client sent it.';
comment on column rowhouse.idempotency_keys.request_digest is 'SHA-256 of method, target and body: another request with this key is refused.';
comment on column rowhouse.idempotency_keys.expires_at is
  'When the key is forgotten: soon while nobody has told the end of its request, then a day after the answer.';
comment on column rowhouse.idempotency_keys.status is 'The answer''s status; null while the request runs.';
comment on column rowhouse.idempotency_keys.content_type is 'The answer''s content type.';
comment on column rowhouse.idempotency_keys.etag is 'The answer''s ETag.';
comment on column rowhouse.idempotency_keys.body is 'The answer''s body; null while the request runs.';

alter table rowhouse.idempotency_keys enable row level security;
alter table rowhouse.idempotency_keys force row level security;
create policy owner_all on rowhouse.idempotency_keys to rowhouse_owner using (true) with check (true);

-- Claims a key for a request. `is_first`: it is this request's now, under the number `claim`. Otherwise the digest of the
-- request that has it, and its answer if there is one; no digest: it was freed at this very moment.
-- Each call removes some expired keys of anybody, more than it can add, and what the caller has beyond `most` answers.
create function rowhouse.claim_idempotency_key(
  of_tenant uuid, of_caller text, of_key text, of_request text, moment timestamptz, until timestamptz, most int,
  out is_first boolean, out claim bigint, out digest text, out status smallint, out content_type text, out etag text,
  out body bytea)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  forgotten constant int := 10;
begin
  delete from rowhouse.idempotency_keys k where k.id = any (array(
    select e.id from rowhouse.idempotency_keys e where e.expires_at <= moment
    order by e.expires_at limit forgotten for update skip locked));
  delete from rowhouse.idempotency_keys k
  where k.tenant_id is not distinct from of_tenant and k.caller = of_caller and k.key = of_key and k.expires_at <= moment;
  insert into rowhouse.idempotency_keys as k (tenant_id, caller, key, request_digest, expires_at)
  values (of_tenant, of_caller, of_key, of_request, until)
  on conflict on constraint idempotency_keys_tenant_id_caller_key_key do nothing
  returning k.id into claim;
  is_first := claim is not null;
  if is_first then
    delete from rowhouse.idempotency_keys k where k.id = any (array(
      select e.id from rowhouse.idempotency_keys e
      where e.tenant_id is not distinct from of_tenant and e.caller = of_caller and e.status is not null
      order by e.expires_at desc offset most limit forgotten for update skip locked));
  else
    select k.request_digest, k.status, k.content_type, k.etag, k.body into digest, status, content_type, etag, body
    from rowhouse.idempotency_keys k
    where k.tenant_id is not distinct from of_tenant and k.caller = of_caller and k.key = of_key;
  end if;
end
$$;
comment on function rowhouse.claim_idempotency_key(uuid, text, text, text, timestamptz, timestamptz, int) is
  'Claims an Idempotency-Key for a request, or tells what has become of the request that has it.';
revoke execute on function rowhouse.claim_idempotency_key(uuid, text, text, text, timestamptz, timestamptz, int) from public;
