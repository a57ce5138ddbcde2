-- Mails. A message is stored once, as it is sent; each recipient has a state and a job of its own, so that one bad
-- address delays no other and every delivery is tracked.
create schema mail;
grant usage on schema mail to service_role, rowhouse_project;

create table mail.messages (
  id bigint generated always as identity,
  created_at timestamptz not null default clock_timestamp(),
  -- the header Message-ID without its brackets; the same in every attempt, so that receivers can detect a duplicate
  message_id text not null,
  -- where bounces go; empty for mails that must not bounce (RFC 5321 section 4.5.5)
  envelope_from text not null,
  -- the headers From and Subject, decoded, for lists
  sender text not null,
  subject text not null,
  -- the name of its template, or raw
  kind text not null default 'raw' constraint messages_kind_check check (length(kind) <= 100),
  -- a label for searching
  tag text constraint messages_tag_check check (length(tag) <= 100),
  tenant uuid,
  request_id text,
  -- a second message with the same key is not stored
  idempotency_key text constraint messages_idempotency_key_check check (length(idempotency_key) between 1 and 200),
  -- the list for one-click unsubscribe (RFC 8058); lists are per tenant
  list text constraint messages_list_check check (length(list) between 1 and 63),
  -- whether the captured message was opened
  is_read boolean not null default false,
  -- the message itself (RFC 5322), without Bcc and without DKIM signature
  mime bytea not null,
  size int not null generated always as (octet_length(mime)) stored,
  constraint messages_pkey primary key (id),
  constraint messages_idempotency_key_key unique (idempotency_key)
);
create index messages_created_at_idx on mail.messages (created_at);

create table mail.recipients (
  id bigint generated always as identity,
  message bigint not null constraint recipients_message_fkey references mail.messages (id) on delete cascade,
  -- the job that delivers it; null if captured
  job bigint,
  -- as given; compared in lower case
  address text not null constraint recipients_address_check check (length(address) <= 320),
  -- queued: no attempt yet. sending: an attempt is under way or was interrupted. delayed: will be retried. Final:
  -- sent (accepted by the relay), captured, failed (given up), bounced (no such address), suppressed (not attempted).
  state text not null default 'queued' constraint recipients_state_check check (state in
    ('queued', 'sending', 'delayed', 'sent', 'captured', 'failed', 'bounced', 'suppressed')),
  attempts smallint not null default 0,
  -- the slot assigned by rate_per_minute and daily_cap
  slot_at timestamptz,
  next_attempt_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- the last reply of the relay, or why there was none
  last_reply text constraint recipients_last_reply_check check (length(last_reply) <= 2000),
  constraint recipients_pkey primary key (id),
  constraint recipients_finished_check check ((finished_at is null) = (state in ('queued', 'sending', 'delayed')))
);
create index recipients_message_idx on mail.recipients (message);
create index recipients_open_idx on mail.recipients (next_attempt_at) where finished_at is null;

-- History of a recipient. Queueing is not repeated here: that is the message's created_at.
create table mail.events (
  id bigint generated always as identity,
  recipient bigint not null constraint events_recipient_fkey references mail.recipients (id) on delete cascade,
  at timestamptz not null default clock_timestamp(),
  event text not null constraint events_event_check check (event in
    ('sent', 'captured', 'delayed', 'failed', 'bounced', 'suppressed')),
  attempt smallint not null,
  reply text constraint events_reply_check check (length(reply) <= 2000),
  constraint events_pkey primary key (id)
);
create index events_recipient_idx on mail.events (recipient);

-- Suppressed addresses.
create table mail.suppressions (
  -- in lower case
  address text not null constraint suppressions_address_check check (address = lower(address) and length(address) <= 320),
  reason text not null constraint suppressions_reason_check check (reason in ('bounce', 'unsubscribe', 'manual')),
  -- the relay's reply
  detail text constraint suppressions_detail_check check (length(detail) <= 2000),
  created_at timestamptz not null default clock_timestamp(),
  -- null: no expiry
  expires_at timestamptz,
  -- set for an unsubscription: only mails of this list
  list text,
  tenant uuid,
  constraint suppressions_address_reason_list_key unique nulls not distinct (address, reason, list, tenant),
  constraint suppressions_list_check check ((list is not null) = (reason = 'unsubscribe'))
);

-- When the next mail may be sent, if a rate is set.
create table mail.pace (
  is_only boolean not null default true constraint pace_is_only_check check (is_only),
  next_at timestamptz not null,
  constraint pace_pkey primary key (is_only)
);

-- Slots assigned per day (UTC), if a cap is set.
create table mail.days (
  day date not null,
  taken int not null,
  constraint days_pkey primary key (day)
);

do $$
declare
  name text;
begin
  for name in select relname from pg_class where relnamespace = 'mail'::regnamespace and relkind = 'r' loop
    execute format('alter table mail.%I enable row level security', name);
    execute format('alter table mail.%I force row level security', name);
    execute format('create policy owner_all on mail.%I to rowhouse_owner using (true) with check (true)', name);
  end loop;
end
$$;

insert into jobs.kinds (name, max_attempts, timeout) values
  -- delivery attempts are counted in mail.recipients; runs that only wait for a slot are none
  ('mail.send', 1000, interval '10 minutes'),
  ('mail.webhook', 12, interval '1 minute');
insert into jobs.queues (name) values ('mail');
