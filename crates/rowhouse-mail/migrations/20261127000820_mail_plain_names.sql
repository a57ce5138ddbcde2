-- Functions named after what they do.
alter function mail.tell() rename to enqueue_webhooks;
alter trigger events_tell on mail.events rename to events_enqueue_webhooks;
alter function mail.take_turn(int, int) rename to reserve_slot;

create or replace function mail.begin(of_recipient bigint, per_minute int, per_day int,
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
    r.slot_at := mail.reserve_slot(per_minute, per_day);
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
