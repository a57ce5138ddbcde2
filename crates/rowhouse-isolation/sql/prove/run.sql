-- Runs probes, each in a subtransaction that is rolled back. In: the settings rowhouse.prove_actors and rowhouse.prove_probes; out:
-- rowhouse.prove_outcomes. A probe runs as a request does: session check, then role, claims and settings, then its statement.
do $prove$
declare
  actors constant jsonb := current_setting('rowhouse.prove_actors')::jsonb;
  outcomes jsonb := '[]';
  probe jsonb;
  actor jsonb;
  state text;
  said text;
  seen text;
  looked text;
  counted bigint;
begin
  for probe in select value from jsonb_array_elements(current_setting('rowhouse.prove_probes')::jsonb) loop
    actor := actors -> (probe ->> 'actor')::int;
    state := null; said := null; seen := null; looked := null; counted := null;
    begin
      if probe ->> 'prepare' is not null then
        execute probe ->> 'prepare';
      end if;
      if actor ->> 'session' is not null then
        perform rowhouse.require_live_session((actor ->> 'session')::uuid, (actor ->> 'user')::uuid, (actor ->> 'tenant')::uuid, actor ->> 'role');
      end if;
      perform set_config('request.jwt.claims', actor ->> 'claims', true),
        set_config('app.current_organization_id', coalesce(actor ->> 'organization', ''), true),
        set_config('app.current_user_id', coalesce(actor ->> 'user', ''), true),
        set_config('jwt.claims.sub', coalesce(actor ->> 'user', ''), true),
        set_config('role', actor ->> 'role', true);
      if (probe ->> 'reads')::boolean then
        execute probe ->> 'sql' into seen;
      else
        execute probe ->> 'sql';
        get diagnostics counted = row_count;
      end if;
      set constraints all immediate;
      if probe ->> 'look' is not null then
        perform set_config('role', 'none', true);
        execute probe ->> 'look' into looked;
      end if;
      raise exception using errcode = 'RHPRV';
    exception
      when sqlstate 'RHPRV' then
        state := '00000';
      when others then
        get stacked diagnostics state = returned_sqlstate, said = message_text;
    end;
    outcomes := outcomes || jsonb_build_object('state', state, 'said', said, 'seen', seen, 'looked', looked, 'rows', counted);
  end loop;
  perform set_config('rowhouse.prove_outcomes', outcomes::text, true);
end
$prove$
