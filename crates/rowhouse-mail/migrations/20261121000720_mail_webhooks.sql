-- Webhooks for events of mails. A trigger on events enqueues a job in the same transaction; URL and secret are
-- settings of the process that runs the job.

-- One row while webhooks are on. Written by processes at start, from mail.webhook_url.
create table mail.hook (
  is_only boolean not null default true constraint hook_is_only_check check (is_only),
  constraint hook_pkey primary key (is_only)
);
alter table mail.hook enable row level security;
alter table mail.hook force row level security;
create policy owner_all on mail.hook to rowhouse_owner using (true) with check (true);

-- Limits the workers that a slow or unreachable service can occupy.
insert into jobs.queues (name, concurrency) values ('mail.webhook', 10);

create function mail.enqueue_webhooks() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  before constant text := coalesce(current_setting('rowhouse.request_id', true), '');
  e record;
begin
  if not exists (select from mail.hook) then
    return null;
  end if;
  for e in
    select a.id, m.tenant, m.request_id
    from added a join mail.recipients r on r.id = a.recipient join mail.messages m on m.id = r.message
    where a.event <> 'captured' order by a.id
  loop
    -- the job carries the id of the request that sent the mail
    perform set_config('rowhouse.request_id', coalesce(e.request_id, ''), true);
    -- The id only: others may enqueue the kind, and must not be able to forge what is signed.
    perform jobs.enqueue('mail.webhook', jsonb_build_object('event', e.id), queue => 'mail.webhook', tenant => e.tenant);
  end loop;
  perform set_config('rowhouse.request_id', before, true);
  return null;
end
$$;
create trigger events_enqueue_webhooks after insert on mail.events
  referencing new table as added for each statement execute function mail.enqueue_webhooks();
