-- Per tenant: idempotency keys, and proved senders.

-- Two tenants may use the same key.
alter table mail.messages drop constraint messages_idempotency_key_key;
create unique index messages_tenant_idempotency_key_key
  on mail.messages (coalesce(tenant, '00000000-0000-0000-0000-000000000000'), idempotency_key);

alter table mail.messages add column credential text;
comment on column mail.messages.credential is
  'The SMTP credential that it was handed in with. Of a tenant''s credential the platform signs nothing.';

create table mail.senders (
  id bigint generated always as identity,
  tenant uuid not null,
  kind text not null constraint senders_kind_check check (kind in ('domain', 'address')),
  name text not null constraint senders_name_check check (name = lower(name) and length(name) between 1 and 320),
  token text not null,
  created_at timestamptz not null default clock_timestamp(),
  proved_at timestamptz,
  attempts smallint not null default 0,
  constraint senders_pkey primary key (id),
  constraint senders_tenant_name_key unique (tenant, name),
  constraint senders_kind_name_check check ((kind = 'address') = (name like '%@%'))
);
comment on table mail.senders is 'From addresses and domains that a tenant may send as over SMTP, once proved.';
comment on column mail.senders.id is 'Number.';
comment on column mail.senders.tenant is 'The tenant.';
comment on column mail.senders.kind is 'domain: every address of it, proved by a DNS record. address: only this one, proved by a code that was sent there.';
comment on column mail.senders.name is 'The domain or address, in lower case and ASCII.';
comment on column mail.senders.token is 'Content of the DNS record; for an address the SHA-256 of its code.';
comment on column mail.senders.created_at is 'When the proof was requested; for an address when the last code was sent, which is valid for a day.';
comment on column mail.senders.proved_at is 'When it was proved; null: not yet.';
comment on column mail.senders.attempts is 'Wrong codes since the last one was sent.';
alter table mail.senders enable row level security;
alter table mail.senders force row level security;
create policy owner_all on mail.senders to rowhouse_owner using (true) with check (true);

-- Begins an attempt. `verdict` is go (and here is the recipient's copy), wait (not before `wait_seconds`), suppressed, or
-- ended (nothing is left to do).
drop function mail.begin(bigint, int, int);
create function mail.begin(of_recipient bigint, per_minute int, per_day int,
  out verdict text, out wait_seconds double precision, out attempt smallint, out address text, out envelope_from text,
  out message_id text, out request_id text, out is_platforms boolean, out created_at timestamptz, out mime bytea)
language plpgsql set search_path = '' as $$
declare
  r mail.recipients;
  of_list text;
  of_tenant uuid;
begin
  -- Asynchronous commit: if it is lost in a crash, the next run begins again.
  perform set_config('synchronous_commit', 'off', true);
  select * into r from mail.recipients x where x.id = of_recipient for update;
  if r.id is null or r.finished_at is not null then
    verdict := 'ended';
    return;
  end if;
  attempt := r.attempts;
  select m.list, m.tenant into of_list, of_tenant from mail.messages m where m.id = r.message;
  if exists (select from mail.suppressions s where s.address = lower(r.address)
      and (s.list is null or (s.list = of_list and s.tenant is not distinct from of_tenant))
      and (s.expires_at is null or s.expires_at > clock_timestamp())) then
    verdict := 'suppressed';
    return;
  end if;
  if r.slot_at is null and coalesce(per_minute, per_day) is not null then
    r.slot_at := mail.take_turn(per_minute, per_day);
  end if;
  if r.slot_at > clock_timestamp() then
    verdict := 'wait';
    wait_seconds := extract(epoch from r.slot_at - clock_timestamp());
    update mail.recipients x set slot_at = r.slot_at, next_attempt_at = r.slot_at where x.id = of_recipient;
    return;
  end if;
  verdict := 'go';
  attempt := r.attempts + 1;
  update mail.recipients x set state = 'sending', attempts = r.attempts + 1, slot_at = null, next_attempt_at = clock_timestamp()
  where x.id = of_recipient;
  select r.address, m.envelope_from, m.message_id, m.request_id, m.tenant is null or m.credential is null, m.created_at, m.mime
  into address, envelope_from, message_id, request_id, is_platforms, created_at, mime
  from mail.messages m where m.id = r.message;
end
$$;
