-- The platform plane: its people, what they did, their visits to sites, and figures across sites.

-- Who works for the platform. Not a site's own (reviewed list of the audit): no role but the plane's sees it.
create table platform_staff (
  identity_id uuid primary key references identities (id),
  -- Shown to the owners of the sites that they enter.
  name text not null check (length(name) between 1 and 200),
  role text not null check (role in ('support', 'operator', 'admin')),
  state text not null default 'active' check (state in ('active', 'disabled')),
  appointed_at timestamptz not null,
  -- At most one visit at a time, over all sites. It may be over by its time.
  open_grant_id uuid,
  site_id_of_grant uuid references sites (id),
  open_until timestamptz,
  constraint platform_staff_visit check (num_nonnulls(open_grant_id, site_id_of_grant, open_until) in (0, 3)),
  constraint platform_staff_disabled_are_nowhere check (state = 'active' or open_grant_id is null)
);

-- What was done on the plane, in the transaction that did it.
create table platform_audit (
  id uuid primary key,
  at timestamptz not null,
  action text not null,
  site_id_of_subject uuid references sites (id),
  -- A staff member's or site member's identity, or a grant.
  subject_id uuid,
  -- {"state": ["active", "suspended"]}: before and after of what changed.
  changes jsonb not null,
  -- 'system' is the command line; another kind than 'person' and 'staff' showed a visitor out of its site.
  actor_kind text not null default coalesce(app.actor_part(1), 'system')
    check (actor_kind in ('person', 'staff', 'key', 'device', 'system')),
  actor_id uuid default app.actor_part(2)::uuid,
  request_id text default convert_from(decode(app.actor_part(4), 'hex'), 'UTF8') check (length(request_id) between 1 and 128),
  address_hash bytea default decode(app.actor_part(5), 'hex') check (length(address_hash) = 16)
);
create index platform_audit_site_idx on platform_audit (site_id_of_subject, id desc);
create index platform_audit_actor_idx on platform_audit (actor_id, id desc);
create trigger never_changed before update or delete on platform_audit for each row execute function app.refuse_change();
create trigger never_emptied before truncate on platform_audit for each statement execute function app.refuse_change();
grant select, insert, update on platform_staff to posx_platform;
grant select, insert on platform_audit to posx_platform;

-- Leave for one staff member to look around in this site. The site sees it, with the name that they had.
create table platform_grants (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  staff_id uuid not null references identities (id),
  staff_name text not null,
  reason text not null check (length(reason) between 10 and 500),
  opened_at timestamptz not null,
  until timestamptz not null,
  ended_at timestamptz,
  -- Who ended it before its time: the staff member, the platform, or someone of the site.
  ended_by uuid,
  primary key (site_id, id),
  constraint platform_grants_length check (until - opened_at between interval '15 minutes' and interval '8 hours'),
  constraint platform_grants_end check (ended_at is not null or ended_by is null)
);
create index platform_grants_open_idx on platform_grants (site_id, staff_id) where ended_at is null;
call app.isolate('platform_grants', 'select');
grant select, insert on platform_grants to posx_platform;
grant update (ended_at, ended_by) on platform_grants to posx_platform;
create trigger never_deleted before delete on platform_grants for each row execute function app.refuse_change();

create function app.grant_only_ends() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if old.ended_at is not null
     or (new.id, new.staff_id, new.staff_name, new.reason, new.opened_at, new.until)
        is distinct from (old.id, old.staff_id, old.staff_name, old.reason, old.opened_at, old.until) then
    raise exception 'a grant only ends, and once' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger only_ends before update on platform_grants for each row execute function app.grant_only_ends();

-- The site's own history tells of each visit, whoever begins or ends it.
create function app.tell_of_grant() returns trigger
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  insert into public.events (kind, subject_id, payload, at)
  values (
    case when new.ended_at is null then 'platform_grant.opened' else 'platform_grant.ended' end,
    new.id,
    jsonb_build_object('staff', 'idn_' || replace(new.staff_id::text, '-', ''), 'until', new.until),
    coalesce(new.ended_at, new.opened_at));
  return null;
end $$;
create trigger tell after insert or update on platform_grants for each row execute function app.tell_of_grant();

-- The current site shows platform staff out. False: no such grant is open here.
create function app.end_grant(ended uuid, act uuid, at_time timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  -- In the order in which the plane locks.
  perform from public.platform_staff s where s.open_grant_id = ended for update;
  update public.platform_grants g set ended_at = at_time, ended_by = app.actor_part(2)::uuid
  where g.site_id = app.current_site_id() and g.id = ended and g.ended_at is null and g.until > at_time;
  if not found then
    return false;
  end if;
  update public.platform_staff s set open_grant_id = null, site_id_of_grant = null, open_until = null
  where s.open_grant_id = ended;
  insert into public.platform_audit (id, at, action, site_id_of_subject, subject_id, changes)
  values (act, at_time, 'grant.ended_by_site', app.current_site_id(), ended, '{}');
  return true;
end $$;

-- The plane sees no row of a site. What it needs of one is behind the functions below; each works in one site after the
-- other, as any transaction does, and leaves the setting as it found it.

revoke select, insert, update on memberships from posx_platform;
revoke select, insert on parties from posx_platform;
revoke insert, update on site_hosts from posx_platform;

-- Gives an identity a role in a site. False: the random referral code is taken.
create function app.appoint_member(
  in_site uuid, identity uuid, new_party uuid, new_referral_code text, new_role text, at_time timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  done boolean;
begin
  perform set_config('app.current_site_id', in_site::text, true);
  update public.memberships m set role = new_role, state = 'active', version = version + 1 where m.identity_id = identity;
  done := found;
  if not done then
    insert into public.parties (id, identity_id, referral_code, created_at)
    values (new_party, identity, new_referral_code, at_time) on conflict do nothing;
    done := found;
    if done then
      insert into public.memberships (identity_id, party_id, role, created_at) values (identity, new_party, new_role, at_time);
    end if;
  end if;
  perform set_config('app.current_site_id', outside, true);
  return done;
end $$;

-- Gives host names to a site and takes some from it. The first that is another site's comes back: then the caller rolls back.
create function app.change_host_names(of_site uuid, added text[], removed text[]) returns text
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  taken text;
begin
  insert into public.site_hosts (host, site_id) select distinct a.host, of_site from unnest(added) as a (host) order by 1
  on conflict (host) do nothing;
  select h.host into taken from public.site_hosts h where h.host = any (added) and h.site_id <> of_site order by 1 limit 1;
  if taken is not null then
    return taken;
  end if;
  delete from public.site_hosts h where h.site_id = of_site and h.host = any (removed);
  update public.sites s
  set host_names = coalesce((select array_agg(h.host order by h.host) from public.site_hosts h where h.site_id = of_site), '{}')
  where s.id = of_site;
  return null;
end $$;

-- Counts and sums, never a row: each site, newest first, and each currency in it. A site where nothing happened has one line
-- without a currency.
create function app.site_figures(since timestamptz, before timestamptz, after_site uuid, at_most integer)
returns table (
  of_site uuid, site_code text, members bigint, currency text, orders_placed bigint, orders_paid bigint,
  captured bigint, refunded bigint, commissions bigint)
language plpgsql security definer set search_path = pg_catalog, public
as $$
#variable_conflict use_column
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  site record;
begin
  for site in
    select s.id, s.code from public.sites s where after_site is null or s.id < after_site order by s.id desc limit at_most
  loop
    perform set_config('app.current_site_id', site.id::text, true);
    return query
      with placed as (
        select o.currency as unit, count(*) as orders from public.orders o
        where o.placed_at >= since and o.placed_at < before group by 1),
      paid as (
        select o.currency as unit, count(*) as orders, sum(o.captured) as captured, sum(o.refunded) as refunded
        from public.orders o where o.paid_at >= since and o.paid_at < before group by 1),
      shared as (
        select c.currency as unit, sum(c.amount) as amount from public.commissions c
        where c.state <> 'void' and c.created_at >= since and c.created_at < before group by 1),
      units as (select unit from placed union select unit from paid union select unit from shared)
      select site.id, site.code,
        (select count(*) from public.memberships m where m.state = 'active'),
        u.unit, coalesce(placed.orders, 0), coalesce(paid.orders, 0),
        coalesce(paid.captured, 0)::bigint, coalesce(paid.refunded, 0)::bigint, coalesce(shared.amount, 0)::bigint
      from (select 1) one left join units u on true
      left join placed using (unit) left join paid using (unit) left join shared using (unit)
      order by u.unit;
  end loop;
  perform set_config('app.current_site_id', outside, true);
end $$;

revoke all on function app.grant_only_ends, app.tell_of_grant, app.end_grant, app.appoint_member, app.change_host_names,
  app.site_figures from public;
grant execute on function app.end_grant to posx_app;
grant execute on function app.appoint_member, app.change_host_names, app.site_figures to posx_platform;
