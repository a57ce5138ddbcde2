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
