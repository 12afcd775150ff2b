-- Our functions beside the queue. Run as posx_jobs after the queue's own migrations, each time: they are replaced whole.
-- The queue's role owns them, so that nothing else needs a right on the queue's tables.
create or replace function graphile_worker.enqueue_for_site(
  site uuid, task text, payload jsonb, its_key text, its_priority integer, delay_s integer, its_tries integer) returns void
language sql security definer set search_path = pg_catalog
as $$
  select graphile_worker.add_job(
    identifier => task,
    payload => (coalesce(payload, '{}') || jsonb_build_object('site_id', site))::json,
    run_at => now() + make_interval(secs => delay_s),
    max_attempts => its_tries,
    job_key => its_key,
    priority => its_priority,
    job_key_mode => 'preserve_run_at')
$$;

-- Dead: every try is used up. It stays until it is replayed. A job that was running when the same was asked for again lost its
-- key to the newer one and all its tries with it: it is superseded, not dead, and nobody has to look at it.
create or replace function graphile_worker.jobs_of_site(site uuid, only_dead boolean, before bigint, at_most integer)
returns table (id bigint, task text, payload jsonb, attempts integer, max_attempts integer, last_error text, dead boolean,
               run_at timestamptz, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select j.id, t.identifier, j.payload::jsonb - 'site_id', j.attempts::integer, j.max_attempts::integer, j.last_error,
         j.attempts >= j.max_attempts, j.run_at, j.created_at
  from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
  where site is not null and j.payload ->> 'site_id' = site::text and (j.key is not null or j.attempts < j.max_attempts)
    and (not only_dead or j.attempts >= j.max_attempts) and (before is null or j.id < before)
  order by j.id desc limit at_most
$$;

create or replace function graphile_worker.replay_job_of_site(site uuid, wanted bigint) returns boolean
language sql security definer set search_path = pg_catalog
as $$
  with again as (
    update graphile_worker._private_jobs j
    set attempts = 0, run_at = now(), last_error = null, updated_at = now(), locked_at = null, locked_by = null
    where j.id = wanted and site is not null and j.payload ->> 'site_id' = site::text and j.attempts >= j.max_attempts
      and j.key is not null
    returning 1)
  select exists (select from again)
$$;

-- What is left of superseded jobs whose worker did not end them.
create or replace function graphile_worker.purge_superseded() returns bigint
language sql security definer set search_path = pg_catalog
as $$
  with gone as (
    delete from graphile_worker._private_jobs
    where key is null and attempts >= max_attempts and locked_at is null and payload ->> 'site_id' is not null
    returning 1)
  select count(*) from gone
$$;

revoke all on all functions in schema graphile_worker from public;
grant usage on schema graphile_worker to posx_owner;
grant execute on function graphile_worker.enqueue_for_site, graphile_worker.jobs_of_site, graphile_worker.replay_job_of_site
  to posx_owner;
