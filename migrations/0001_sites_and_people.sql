-- Schema `app` holds what the product itself relies on: the current site and the narrow SECURITY DEFINER functions.
create schema app;
revoke all on schema public from public;
grant usage on schema public, app to posx_app, posx_jobs, posx_platform;

-- The site of the open transaction; null when none is set: then no row is visible.
create function app.current_site_id() returns uuid
language sql stable parallel safe
set search_path = pg_catalog
as $$ select nullif(current_setting('app.current_site_id', true), '')::uuid $$;
revoke all on function app.current_site_id() from public;
grant execute on function app.current_site_id() to posx_app, posx_jobs, posx_platform;

create function app.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  raise exception 'rows of % are never changed or deleted', tg_table_name using errcode = 'restrict_violation';
end $$;

create function app.site_never_changes() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if new.site_id is distinct from old.site_id then
    raise exception 'site_id of % never changes', tg_table_name using errcode = 'restrict_violation';
  end if;
  return new;
end $$;

-- Makes a table a site's own: RLS enabled and forced, one complete policy, an immutable site_id, the app role's verbs.
create procedure app.isolate(target regclass, verbs text)
language plpgsql set search_path = pg_catalog
as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy site_isolation on %s for all using (site_id = (select app.current_site_id()))'
                 ' with check (site_id = (select app.current_site_id()))', target);
  execute format('create trigger site_never_changes before update of site_id on %s'
                 ' for each row execute function app.site_never_changes()', target);
  execute format('grant %s on %s to posx_app', verbs, target);
end $$;

-- Not a site's own (reviewed list of the audit): the app role reaches it only through the functions below.
create table sites (
  id uuid primary key,
  code text not null constraint sites_code_key unique check (code ~ '^[A-Z0-9_-]{2,20}$'),
  name text not null check (length(name) between 1 and 200),
  host_names text[] not null default '{}',
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  time_zone text not null,
  state text not null default 'active' check (state in ('active', 'suspended')),
  modules text[] not null default '{token_sale}',
  order_expiry_minutes integer not null default 15 check (order_expiry_minutes between 1 and 1440),
  created_at timestamptz not null
);
create table site_hosts (
  host text primary key check (host = lower(host)),
  site_id uuid not null references sites (id)
);
grant select, insert, update on sites, site_hosts to posx_platform;

-- Who logs in: one row per (issuer, subject). Login data only.
create table identities (
  id uuid primary key,
  issuer text not null,
  subject text not null,
  created_at timestamptz not null,
  constraint identities_issuer_subject_key unique (issuer, subject)
);

create table parties (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  identity_id uuid references identities (id),
  referral_code text not null,
  -- What the joiner claimed; it binds as a referral at the first paid order.
  claimed_referrer_id uuid,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint parties_identity_key unique (site_id, identity_id),
  constraint parties_referral_code_key unique (site_id, referral_code),
  constraint parties_no_self_claim check (claimed_referrer_id is distinct from id),
  foreign key (site_id, claimed_referrer_id) references parties (site_id, id)
);
create index parties_claimed_idx on parties (site_id, claimed_referrer_id) where claimed_referrer_id is not null;
call app.isolate('parties', 'select, insert, update');

create table memberships (
  site_id uuid not null default app.current_site_id() references sites (id),
  identity_id uuid not null references identities (id),
  party_id uuid not null,
  role text not null check (role in ('owner', 'admin', 'manager', 'member', 'cashier', 'agent', 'viewer')),
  state text not null default 'active' check (state in ('active', 'disabled')),
  created_at timestamptz not null,
  primary key (site_id, identity_id),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('memberships', 'select, insert, update');

-- Who referred whom: bound once, at the first paid order of the referred party. No self, no cycle, never changed.
create table referrals (
  site_id uuid not null default app.current_site_id() references sites (id),
  party_id uuid not null,
  referrer_id uuid not null,
  order_id uuid not null,
  bound_at timestamptz not null,
  primary key (site_id, party_id),
  constraint referrals_no_self check (party_id <> referrer_id),
  foreign key (site_id, party_id) references parties (site_id, id),
  foreign key (site_id, referrer_id) references parties (site_id, id)
);
create index referrals_referrer_idx on referrals (site_id, referrer_id);
call app.isolate('referrals', 'select, insert');
create trigger never_changed before update or delete on referrals for each row execute function app.refuse_change();

create function app.refuse_referral_cycle() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  -- Two edges that would close a cycle together must not pass each other: one binding per site at a time.
  perform pg_advisory_xact_lock(hashtextextended('referrals:' || new.site_id::text, 0));
  if exists (
    with recursive up(id, path) as (
      select new.referrer_id, array[new.referrer_id]
      union all
      select r.referrer_id, up.path || r.referrer_id
      from up join public.referrals r on r.site_id = new.site_id and r.party_id = up.id
      where r.referrer_id <> all (up.path)
    )
    select from up where id = new.party_id
  ) then
    raise exception 'the referral would close a cycle'
      using errcode = 'check_violation', constraint = 'referrals_no_cycle', table = 'referrals';
  end if;
  return new;
end $$;
create trigger no_cycle before insert on referrals for each row execute function app.refuse_referral_cycle();

-- What the API may ask before it knows the site. ------------------------------------------------------------------

create function app.find_site(wanted_code text, wanted_host text) returns setof sites
language sql stable security definer set search_path = pg_catalog, public
as $$
  select s.* from public.sites s
  where (wanted_code is not null and s.code = wanted_code)
     or (wanted_code is null and s.id = (select h.site_id from public.site_hosts h where h.host = wanted_host))
$$;

create function app.site(wanted uuid) returns setof sites
language sql stable security definer set search_path = pg_catalog, public
as $$ select s.* from public.sites s where s.id = wanted $$;

-- The identity's row, made on first sight; `new_id` is used when there is none.
create function app.identity_of(wanted_issuer text, wanted_subject text, new_id uuid, at timestamptz) returns uuid
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  found uuid;
begin
  select id into found from public.identities where issuer = wanted_issuer and subject = wanted_subject;
  if found is null then
    insert into public.identities (id, issuer, subject, created_at) values (new_id, wanted_issuer, wanted_subject, at)
    on conflict (issuer, subject) do nothing;
    select id into found from public.identities where issuer = wanted_issuer and subject = wanted_subject;
  end if;
  return found;
end $$;

-- The runner's scheduled work goes through every active site, one job each.
create function app.active_sites() returns setof uuid
language sql stable security definer set search_path = pg_catalog, public
as $$ select id from public.sites where state = 'active' $$;

revoke all on function app.find_site, app.site, app.identity_of, app.active_sites from public;
revoke all on function app.refuse_change, app.site_never_changes, app.refuse_referral_cycle from public;
revoke all on procedure app.isolate from public;
grant execute on function app.find_site, app.site, app.identity_of to posx_app;
grant execute on function app.identity_of to posx_platform;
grant execute on function app.active_sites to posx_jobs;
-- The platform plane appoints a site's first owner, inside a transaction that carries that site.
grant select, insert, update on memberships to posx_platform;
grant select, insert on parties to posx_platform;
