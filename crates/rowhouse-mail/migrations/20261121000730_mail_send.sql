-- Mails from SQL, for triggers and functions of the project. The request is stored as a draft, with a job that
-- composes the mail from it in the program.

-- Drafts to be composed. The job holds the id only: anybody who may enqueue could otherwise send.
create table mail.drafts (
  id bigint generated always as identity,
  created_at timestamptz not null default clock_timestamp(),
  tenant uuid,
  request_id text,
  -- as POST /mail/v1/send takes it
  message jsonb not null,
  constraint drafts_pkey primary key (id)
);
alter table mail.drafts enable row level security;
alter table mail.drafts force row level security;
create policy owner_all on mail.drafts to rowhouse_owner using (true) with check (true);

insert into jobs.kinds (name, max_attempts, timeout) values ('mail.write', 20, interval '1 minute');

-- Sends a mail if the caller's transaction commits, and returns the id of the job that composes it. The keys are those of
-- POST /mail/v1/send: mail.send('{"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada"}}').
create function mail.send(message jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 1024 * 1024;
  known constant text[] := array['from', 'to', 'cc', 'bcc', 'reply_to', 'subject', 'text', 'html', 'template', 'language', 'data',
    'headers', 'attachments', 'list', 'tag', 'tenant', 'idempotency_key'];
  for_tenant uuid;
  strange text;
  draft bigint;
begin
  if jsonb_typeof(message) is distinct from 'object' then
    raise exception using errcode = 'invalid_parameter_value', message = 'a mail is a JSON object';
  end if;
  select k into strange from jsonb_object_keys(message) k where k <> all (known) limit 1;
  if strange is not null then
    raise exception using errcode = 'invalid_parameter_value', message = format('a mail has no "%s"', left(strange, 100)),
      hint = 'It has: ' || array_to_string(known, ', ');
  end if;
  if not (message ? 'to' or message ? 'cc' or message ? 'bcc') then
    raise exception using errcode = 'invalid_parameter_value', message = 'a mail goes to somebody: "to" is missing';
  end if;
  if octet_length(message::text) > most then
    raise exception using errcode = 'program_limit_exceeded',
      message = format('a mail from SQL has at most %s bytes, this one has %s', most, octet_length(message::text)),
      hint = 'Larger ones are sent by POST /mail/v1/send.';
  end if;
  for_tenant := jobs.tenant_of_caller((message ->> 'tenant')::uuid);
  insert into mail.drafts as d (tenant, request_id, message) values (for_tenant, jobs.request_id(), message - 'tenant')
  returning d.id into draft;
  return jobs.enqueue('mail.write', jsonb_build_object('draft', draft), queue => 'mail', tenant => for_tenant);
end
$$;
-- Not for authenticated: a security definer function of the project decides for users.
grant execute on function mail.send(jsonb) to service_role, rowhouse_project;
