-- Sign-in by phone number.

-- ours: GoTrue has one token for address and number, so that a code for one would void the letter to the other
alter type auth.one_time_token_type add value 'phone_confirmation_token';

-- Messages that nobody delivers, for development: with their codes in plain text.
create table auth.captured_messages (
  id bigint generated always as identity,
  phone text not null,
  channel text not null,
  body text not null,
  sent_at timestamptz not null,
  constraint captured_messages_pkey primary key (id)
);
comment on table auth.captured_messages is 'The latest messages to phones while auth_sms.provider is "sink", in development; no others are kept.';
comment on column auth.captured_messages.id is 'key, in the order of sending';
comment on column auth.captured_messages.phone is 'number, without plus sign';
comment on column auth.captured_messages.channel is 'sms or whatsapp';
comment on column auth.captured_messages.body is 'text with the code';
comment on column auth.captured_messages.sent_at is 'when it would have been sent';
alter table auth.captured_messages enable row level security;
alter table auth.captured_messages force row level security;
create policy owner_all on auth.captured_messages to rowhouse_owner using (true) with check (true);

comment on column auth.one_time_tokens.token_type is 'GoTrue''s type, and phone_confirmation_token';
