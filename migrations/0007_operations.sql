-- Events: the history of every subject, append-only, in the transaction of the fact. The number only orders them.
create table events (
  site_id uuid not null default app.current_site_id() references sites (id),
  id bigint not null generated always as identity,
  kind text not null,
  subject_id uuid not null,
  payload jsonb not null,
  at timestamptz not null,
  primary key (site_id, id)
);
create index events_subject_idx on events (site_id, subject_id, id);
call app.isolate('events', 'select, insert');
create trigger never_changed before update or delete on events for each row execute function app.refuse_change();

create table idempotency_keys (
  site_id uuid not null default app.current_site_id() references sites (id),
  actor text not null,
  operation text not null,
  key text not null check (length(key) between 1 and 255),
  fingerprint bytea not null check (length(fingerprint) = 32),
  status smallint not null,
  body bytea not null,
  created_at timestamptz not null,
  primary key (site_id, actor, operation, key)
);
create index idempotency_keys_age_idx on idempotency_keys (site_id, created_at);
call app.isolate('idempotency_keys', 'select, insert, delete');

-- Which site an outside system's object belongs to. Written when we store the external id; never read by the app role.
create table external_ids (
  provider text not null,
  external_id text not null,
  site_id_of_owner uuid not null references sites (id),
  primary key (provider, external_id)
);
create function app.claim_external_id(claimed_provider text, claimed_id text) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  owner uuid;
begin
  if app.current_site_id() is null then
    raise exception 'no site' using errcode = 'insufficient_privilege';
  end if;
  insert into public.external_ids values (claimed_provider, claimed_id, app.current_site_id()) on conflict do nothing;
  select site_id_of_owner into owner from public.external_ids
  where provider = claimed_provider and external_id = claimed_id;
  return owner = app.current_site_id();
end $$;

-- The webhook inbox: stored before the site is known, so it has no policy and the app role has no grant on it.
create table webhook_inbox (
  id uuid primary key,
  provider text not null,
  event_id text not null,
  event_type text not null,
  external_id text,
  site_id_of_owner uuid references sites (id),
  body bytea not null,
  headers jsonb not null,
  state text not null default 'received' check (state in ('received', 'done', 'dead', 'ignored')),
  deliveries integer not null default 1,
  tries integer not null default 0,
  last_error text,
  received_at timestamptz not null,
  finished_at timestamptz,
  constraint webhook_inbox_event_key unique (provider, event_id)
);
create index webhook_inbox_site_idx on webhook_inbox (site_id_of_owner, id desc);
create index webhook_inbox_age_idx on webhook_inbox (finished_at) where state in ('done', 'ignored');

-- Stores one delivery and, for a new event, adds the job that interprets it. True when the event is new.
create function app.store_webhook(
  new_id uuid, its_provider text, its_event_id text, its_type text, its_external_id text,
  known boolean, its_body bytea, its_headers jsonb, at timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  stored uuid;
begin
  insert into public.webhook_inbox
    (id, provider, event_id, event_type, external_id, site_id_of_owner, body, headers, state, received_at, finished_at)
  values (new_id, its_provider, its_event_id, its_type, its_external_id,
          (select e.site_id_of_owner from public.external_ids e
           where e.provider = its_provider and e.external_id = its_external_id),
          its_body, its_headers, case when known then 'received' else 'ignored' end, at, case when known then null else at end)
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

-- What the runner asks of the inbox. The site is looked up again each time: our own insert may have come later than the
-- provider's event.
create function app.webhook(wanted uuid) returns setof webhook_inbox
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  update public.webhook_inbox w
  set tries = w.tries + 1,
      site_id_of_owner = coalesce(w.site_id_of_owner, (
        select e.site_id_of_owner from public.external_ids e
        where e.provider = w.provider and e.external_id = w.external_id))
  where w.id = wanted;
  return query select w.* from public.webhook_inbox w where w.id = wanted;
end $$;

create function app.finish_webhook(finished uuid, outcome text, why text, at timestamptz) returns void
language sql security definer set search_path = pg_catalog, public
as $$
  update public.webhook_inbox
  set state = outcome, last_error = why, finished_at = case when outcome = 'received' then null else at end
  where id = finished and state <> 'done'
$$;

create function app.purge_webhooks(finished_before timestamptz) returns bigint
language sql security definer set search_path = pg_catalog, public
as $$
  with gone as (
    delete from public.webhook_inbox
    where id in (select id from public.webhook_inbox
                 where state in ('done', 'ignored') and finished_at < finished_before limit 10000)
    returning 1)
  select count(*) from gone
$$;

-- What a site's staff may see of the inbox: their own events, never bodies of others.
create function app.webhooks_of_site(before uuid, wanted_state text, at_most integer)
returns table (id uuid, provider text, event_id text, event_type text, external_id text, state text, deliveries integer,
               tries integer, last_error text, received_at timestamptz, finished_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public
as $$
  select w.id, w.provider, w.event_id, w.event_type, w.external_id, w.state, w.deliveries, w.tries, w.last_error,
         w.received_at, w.finished_at
  from public.webhook_inbox w
  where w.site_id_of_owner = app.current_site_id()
    and (before is null or w.id < before) and (wanted_state is null or w.state = wanted_state)
  order by w.id desc limit at_most
$$;

-- Interprets an event again; on what is already applied it changes nothing. False: not this site's.
create function app.replay_webhook(wanted uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  update public.webhook_inbox set state = 'received', finished_at = null
  where id = wanted and site_id_of_owner = app.current_site_id() and state <> 'ignored';
  if not found then
    return false;
  end if;
  perform graphile_worker.enqueue_for_site(app.current_site_id(), 'apply_webhook', jsonb_build_object('webhook', wanted),
    'webhook:' || wanted::text, -10, 0, 12);
  return true;
end $$;

-- Jobs. The queue belongs to posx_jobs (see queue.sql); the app role adds a job only through this function, which
-- stamps the open transaction's site on it, whatever the payload says. `delay_s` counts from the database's own clock.
create function app.add_job(task text, payload jsonb, its_key text, its_priority integer, delay_s integer, its_tries integer)
returns void
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  if app.current_site_id() is null then
    raise exception 'no site' using errcode = 'insufficient_privilege';
  end if;
  -- The key is the site's own: two sites may use the same one.
  perform graphile_worker.enqueue_for_site(app.current_site_id(), task, payload,
    app.current_site_id()::text || ':' || its_key, its_priority, delay_s, its_tries);
end $$;

create function app.jobs_of_site(only_dead boolean, before bigint, at_most integer)
returns table (id bigint, task text, payload jsonb, attempts integer, max_attempts integer, last_error text, dead boolean,
               run_at timestamptz, created_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog
as $$ begin return query select * from graphile_worker.jobs_of_site(app.current_site_id(), only_dead, before, at_most); end $$;

create function app.replay_job(wanted bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog
as $$ begin return graphile_worker.replay_job_of_site(app.current_site_id(), wanted); end $$;

revoke all on function app.claim_external_id, app.store_webhook, app.webhook, app.finish_webhook, app.purge_webhooks,
  app.webhooks_of_site, app.replay_webhook, app.add_job, app.jobs_of_site, app.replay_job from public;
grant execute on function app.claim_external_id, app.store_webhook, app.webhooks_of_site, app.replay_webhook, app.add_job,
  app.jobs_of_site, app.replay_job to posx_app;
grant execute on function app.webhook, app.finish_webhook, app.purge_webhooks to posx_jobs;
