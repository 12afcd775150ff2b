-- Who did it: every event carries the actor of its transaction, set with the site as `kind,id,second id,request,address`.

create function app.actor_part(part integer) returns text
language sql stable parallel safe
set search_path = pg_catalog
as $$ select nullif(split_part(current_setting('app.actor', true), ',', part), '') $$;
revoke all on function app.actor_part(integer) from public;
grant execute on function app.actor_part(integer) to posx_app, posx_jobs, posx_platform;

-- What was there before, the system wrote as far as anyone knows.
alter table events
  add column actor_kind text not null default 'system'
    check (actor_kind in ('visitor', 'person', 'staff', 'key', 'device', 'system')),
  -- An identity's, a key's or a device's id.
  add column actor_id uuid,
  -- A staff member's grant, or who stood at the device.
  add column actor_second_id uuid,
  add column request_id text check (length(request_id) between 1 and 128),
  -- Salted.
  add column address_hash bytea check (length(address_hash) = 16);
alter table events
  alter column actor_kind set default coalesce(app.actor_part(1), 'system'),
  alter column actor_id set default app.actor_part(2)::uuid,
  alter column actor_second_id set default app.actor_part(3)::uuid,
  alter column request_id set default convert_from(decode(app.actor_part(4), 'hex'), 'UTF8'),
  alter column address_hash set default decode(app.actor_part(5), 'hex');

-- As before, and a parked event stays parked when a job that had begun with it ends: only what was applied is done.
create or replace function app.finish_webhook(finished uuid, outcome text, why text, at timestamptz) returns void
language sql security definer set search_path = pg_catalog, public
as $$
  update public.webhook_inbox
  set state = outcome, last_error = why, finished_at = case when outcome = 'received' then null else at end
  where id = finished and state <> 'done' and (state <> 'parked' or outcome = 'done')
$$;
