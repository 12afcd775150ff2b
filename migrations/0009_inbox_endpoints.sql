-- Where an event was delivered, and events that are set aside until a person says what becomes of them.

alter table webhook_inbox add column endpoint text not null default 'shared';
alter table webhook_inbox drop constraint webhook_inbox_state_check;
alter table webhook_inbox add constraint webhook_inbox_state_check
  check (state in ('received', 'done', 'dead', 'ignored', 'parked'));

-- As before, with the endpoint. A version that does not name one delivered to the shared one.
drop function app.store_webhook(uuid, text, text, text, text, boolean, bytea, jsonb, timestamptz);
create function app.store_webhook(
  new_id uuid, its_provider text, its_event_id text, its_type text, its_external_id text,
  known boolean, its_body bytea, its_headers jsonb, at timestamptz, its_endpoint text default 'shared') returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  stored uuid;
begin
  insert into public.webhook_inbox
    (id, provider, event_id, event_type, external_id, site_id_of_owner, body, headers, state, received_at, finished_at, endpoint)
  values (new_id, its_provider, its_event_id, its_type, its_external_id,
          (select e.site_id_of_owner from public.external_ids e
           where e.provider = its_provider and e.external_id = its_external_id),
          its_body, its_headers, case when known then 'received' else 'ignored' end, at, case when known then null else at end,
          its_endpoint)
  on conflict (provider, event_id) do update set deliveries = webhook_inbox.deliveries + 1
  returning id into stored;
  if stored = new_id and known then
    -- Stamped with the site if that is known by now; the runner asks the inbox in any case.
    perform graphile_worker.enqueue_for_site((select w.site_id_of_owner from public.webhook_inbox w where w.id = stored),
      'apply_webhook', jsonb_build_object('webhook', stored),
      'webhook:' || stored::text, -10, 0, 12);
  end if;
  return stored = new_id;
end $$;

-- Sets an event of the open transaction's site aside: it is not applied, and not deleted with its age, until it is
-- replayed. What is applied stays applied. False: not this site's, or done.
create function app.park_webhook(wanted uuid, why text, at timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  update public.webhook_inbox set state = 'parked', last_error = why, finished_at = at
  where id = wanted and site_id_of_owner = app.current_site_id() and state <> 'done';
  return found;
end $$;

revoke all on function app.store_webhook, app.park_webhook from public;
grant execute on function app.store_webhook, app.park_webhook to posx_app;
