-- Delivery of a mail: database work before and after the SMTP session.

-- Assigns the next slot, so that all processes together exceed neither the rate nor the cap of a day (UTC). An
-- assigned slot is used: a run at that time may send.
create function mail.reserve_slot(per_minute int, per_day int) returns timestamptz
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  gap constant interval := coalesce(interval '1 minute' / per_minute, interval '0');
  slot timestamptz;
begin
  insert into mail.pace (next_at) values (clock_timestamp()) on conflict do nothing;
  select greatest(p.next_at, clock_timestamp()) into slot from mail.pace p for update;
  if per_day is not null then
    delete from mail.days d where d.day < (clock_timestamp() at time zone 'UTC')::date - 7;
    while exists (select from mail.days d where d.day = (slot at time zone 'UTC')::date and d.taken >= per_day) loop
      slot := (date_trunc('day', slot at time zone 'UTC') + interval '1 day') at time zone 'UTC';
    end loop;
    insert into mail.days as d (day, taken) values ((slot at time zone 'UTC')::date, 1)
    on conflict on constraint days_pkey do update set taken = d.taken + 1;
  end if;
  update mail.pace set next_at = slot + gap;
  return slot;
end
$$;

-- Begins an attempt. `verdict` is go (and here is the recipient's copy), wait (not before `wait_seconds`), suppressed, or
-- ended (nothing is left to do). `is_platforms`: no tenant's credential handed it in, so the platform may sign it.
create function mail.begin(of_recipient bigint, per_minute int, per_day int,
  out verdict text, out wait_seconds double precision, out attempt smallint, out address text, out envelope_from text,
  out message_id text, out request_id text, out is_platforms boolean, out created_at timestamptz, out mime bytea)
language plpgsql set search_path = pg_catalog, pg_temp as $$
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

-- Ends recipients whose jobs are dead or cancelled; at most `most` per call, returns how many.
create function mail.sweep(most int default 1000) returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
  with lost as (
    select r.id, r.attempts, left('its job ended as ' || d.state || ': ' || d.error, 2000) as reply
    from mail.recipients r join jobs.dead d on d.id = r.job
    where r.finished_at is null
    limit most
    for update of r
  ), ended as (
    update mail.recipients r set state = 'failed', finished_at = clock_timestamp(), last_reply = l.reply
    from lost l where r.id = l.id
  ), recorded as (
    insert into mail.events (recipient, event, attempt, reply) select l.id, 'failed', l.attempts, l.reply from lost l
  )
  select count(*) from lost
$$;
