-- The audit trail: every event, with its actor, sealed into one chain per site.

-- One row per event, in the order of sealing. The digest covers the event and the digest before it, so nothing that is sealed
-- can be changed, taken out or put in between unnoticed.
create table event_seals (
  site_id uuid not null default app.current_site_id() references sites (id),
  position bigint not null check (position >= 1),
  event_id bigint not null,
  digest bytea not null check (length(digest) = 32),
  sealed_at timestamptz not null,
  primary key (site_id, position),
  constraint event_seals_event_key unique (site_id, event_id),
  foreign key (site_id, event_id) references events (site_id, id)
);
call app.isolate('event_seals', 'select');
create trigger never_changed before update or delete on event_seals for each row execute function app.refuse_change();

-- Who did what: the page of one actor.
create index events_actor_idx on events (site_id, actor_id, id) where actor_id is not null;

-- An event as it is sealed and exported. jsonb prints the same value always the same way.
create function app.event_line(event events) returns text
language sql stable parallel safe
set search_path = pg_catalog
as $$
  select jsonb_build_object(
    'id', event.id, 'kind', event.kind, 'subject', event.subject_id, 'payload', event.payload,
    'at', to_char(event.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'actor', jsonb_build_object('kind', event.actor_kind, 'id', event.actor_id, 'second_id', event.actor_second_id),
    'request_id', event.request_id, 'address', encode(event.address_hash, 'hex'))::text
$$;

create function app.seal_of(before bytea, event events) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, public
as $$ select sha256(before || convert_to(app.event_line(event), 'UTF8')) $$;

-- Seals up to `at_most` events of the open transaction's site, and says how many. Ids are given before a commit, so a smaller
-- one may appear later: the last 100,000 are looked at again each time, and all of them with `everything`.
create function app.seal_events(at timestamptz, at_most integer, everything boolean) returns integer
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  last public.event_seals;
  event public.events;
  sealed integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('event_seals:' || app.current_site_id()::text, 0));
  select * into last from public.event_seals s where s.site_id = app.current_site_id() order by s.position desc limit 1;
  last.position := coalesce(last.position, 0);
  last.digest := coalesce(last.digest, ''::bytea);
  for event in
    select e.* from public.events e
    where e.site_id = app.current_site_id()
      and (everything or e.id > coalesce(last.event_id, 0) - 100000)
      and not exists (select from public.event_seals s where s.site_id = e.site_id and s.event_id = e.id)
    order by e.id limit at_most
  loop
    last.position := last.position + 1;
    last.digest := app.seal_of(last.digest, event);
    insert into public.event_seals (position, event_id, digest, sealed_at)
    values (last.position, event.id, last.digest, at);
    sealed := sealed + 1;
  end loop;
  return sealed;
end $$;

-- Goes on from a checked position. `broken` is the first seal that does not agree with its event and the one before it.
create function app.check_seals(after_position bigint, after_digest bytea, at_most integer,
  out last_position bigint, out last_digest bytea, out broken bigint)
language plpgsql stable set search_path = pg_catalog, public
as $$
declare
  seal record;
begin
  last_position := after_position;
  last_digest := after_digest;
  for seal in
    select s.position, s.digest, e as event, e.id is not null as present
    from public.event_seals s left join public.events e on e.site_id = s.site_id and e.id = s.event_id
    where s.position > after_position order by s.position limit at_most
  loop
    if not seal.present or seal.position <> last_position + 1
       or seal.digest is distinct from app.seal_of(last_digest, seal.event) then
      broken := seal.position;
      return;
    end if;
    last_position := seal.position;
    last_digest := seal.digest;
  end loop;
end $$;

revoke all on function app.event_line, app.seal_of, app.seal_events, app.check_seals from public;
grant execute on function app.event_line, app.seal_of, app.seal_events, app.check_seals to posx_app;
