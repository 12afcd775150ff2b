-- Vesting; what a refund cuts from an allocation.

alter table allocations
  -- A line is delivered in parts: one, or one for each release of its vesting, or one more for what was restored too late.
  add column part smallint not null default 0 check (part >= 0),
  -- Of `amount`: what is not sent because its money went back.
  add column cut numeric(39, 0) not null default 0 check (cut >= 0),
  -- Of what was sent: what the buyer owes because its money went back.
  add column owed numeric(39, 0) not null default 0 check (owed >= 0),
  -- Numbers the entries of cut and owed.
  add column changes integer not null default 0 check (changes >= 0),
  drop constraint allocations_state_check,
  drop constraint allocations_line_key,
  drop constraint allocations_sent_has_external_id,
  add constraint allocations_state_check check (state in
    ('pending', 'queued', 'unknown', 'submitted', 'confirming', 'done', 'failed', 'cancelled')),
  -- Each part of a paid order line is made once.
  add constraint allocations_line_key unique (site_id, line_id, part),
  add constraint allocations_sent_has_external_id check (state in ('pending', 'queued', 'cancelled') or external_id is not null),
  add constraint allocations_parts_within_amount check (cut + owed <= amount),
  add constraint allocations_cancelled_has_nothing_left check ((state = 'cancelled') = (cut = amount)),
  add constraint allocations_debt_is_of_what_was_sent check (owed = 0 or state = 'done');
create index allocations_owed_idx on allocations (site_id, id desc) where owed > 0;

-- How many units of a line went back to its tier's free stock.
create table line_restocks (
  site_id uuid not null default app.current_site_id() references sites (id),
  line_id uuid not null,
  units integer not null check (units >= 0),
  changes integer not null check (changes >= 1),
  primary key (site_id, line_id),
  foreign key (site_id, line_id) references order_lines (site_id, id)
);
call app.isolate('line_restocks', 'select, insert, update');

-- One row is one version. What it says of amounts and distances never changes; when it starts may be moved.
create table vesting_policies (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (length(name) between 1 and 200),
  version integer not null check (version >= 1),
  share_at_start numeric(7, 6) not null check (share_at_start between 0 and 1),
  cliff_months smallint not null check (cliff_months between 0 and 120),
  periods smallint not null check (periods between 0 and 366),
  unit text not null check (unit in ('day', 'week', 'month')),
  revocable boolean not null,
  -- Null: nothing unlocks yet.
  starts_on date,
  -- Grows with each move of the start.
  revision integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint vesting_policies_version_key unique (site_id, name, version),
  constraint vesting_policies_whole check ((periods = 0) = (share_at_start = 1))
);
call app.isolate('vesting_policies', 'select, insert, update');
create function app.vesting_policy_content_never_changes() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.id, new.name, new.version, new.share_at_start, new.cliff_months, new.periods, new.unit, new.revocable, new.created_at)
     is distinct from
     (old.id, old.name, old.version, old.share_at_start, old.cliff_months, old.periods, old.unit, old.revocable, old.created_at) then
    raise exception 'a version of a vesting policy is never edited: make a new one' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
revoke all on function app.vesting_policy_content_never_changes from public;
create trigger content_never_changes before update on vesting_policies
  for each row execute function app.vesting_policy_content_never_changes();

-- By which policy what a tier sells is vested, from when on. An order line follows what held when its order was placed.
create table tier_vesting (
  site_id uuid not null default app.current_site_id() references sites (id),
  tier_id uuid not null,
  since timestamptz not null,
  -- Null: not vested any more.
  policy_id uuid,
  primary key (site_id, tier_id, since),
  foreign key (site_id, tier_id) references tiers (site_id, id),
  foreign key (site_id, policy_id) references vesting_policies (site_id, id)
);
call app.isolate('tier_vesting', 'select, insert');
create trigger never_changed before update or delete on tier_vesting for each row execute function app.refuse_change();

create table vesting_schedules (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  line_id uuid not null,
  party_id uuid not null,
  asset_id uuid not null,
  policy_id uuid not null,
  total numeric(39, 0) not null check (total > 0),
  created_at timestamptz not null,
  revoked_at timestamptz,
  primary key (site_id, id),
  -- Made once per paid order line.
  constraint vesting_schedules_line_key unique (site_id, line_id),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, line_id) references order_lines (site_id, id),
  foreign key (site_id, party_id) references parties (site_id, id),
  foreign key (site_id, asset_id) references chain_assets (site_id, id),
  foreign key (site_id, policy_id) references vesting_policies (site_id, id)
);
create index vesting_schedules_order_idx on vesting_schedules (site_id, order_id);
create index vesting_schedules_party_idx on vesting_schedules (site_id, party_id, id desc);
create index vesting_schedules_policy_idx on vesting_schedules (site_id, policy_id, id desc);
call app.isolate('vesting_schedules', 'select, insert, update');

create table vesting_releases (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  schedule_id uuid not null,
  policy_id uuid not null,
  -- 0 is what unlocks at the start.
  number smallint not null check (number between 0 and 366),
  amount numeric(39, 0) not null check (amount > 0),
  -- As in allocations; it moves to the allocation when there is one.
  cut numeric(39, 0) not null default 0 check (cut >= 0),
  changes integer not null default 0 check (changes >= 0),
  state text not null check (state in ('locked', 'due', 'allocated', 'revoked')),
  unlocked_on date,
  allocation_id uuid,
  primary key (site_id, id),
  constraint vesting_releases_number_key unique (site_id, schedule_id, number),
  constraint vesting_releases_allocation_key unique (site_id, allocation_id),
  constraint vesting_releases_cut_within_amount check (cut <= amount),
  constraint vesting_releases_state_complete check (
    (unlocked_on is not null) = (state in ('due', 'allocated')) and (allocation_id is not null) = (state = 'allocated')),
  foreign key (site_id, schedule_id) references vesting_schedules (site_id, id),
  foreign key (site_id, policy_id) references vesting_policies (site_id, id),
  foreign key (site_id, allocation_id) references allocations (site_id, id)
);
create index vesting_releases_locked_idx on vesting_releases (site_id, policy_id, number) where state = 'locked';
call app.isolate('vesting_releases', 'select, insert, update');

-- What is cancelled keeps nobody; what is still to unlock does. All else that was asked before is asked as it was.
alter function app.open_business(uuid) rename to open_business_beside_deliveries;
create function app.open_business(of_party uuid) returns text[]
language sql stable set search_path = pg_catalog, public
as $$
  select array_remove(array[
    case when exists (select from public.allocations a
                      where a.party_id = of_party and a.state not in ('done', 'cancelled')) then 'allocations' end,
    case when exists (select from public.vesting_schedules s
                      join public.vesting_releases r on r.site_id = s.site_id and r.schedule_id = s.id
                      where s.party_id = of_party and r.state in ('locked', 'due') and r.cut < r.amount) then 'vesting' end
  ], null) || array_remove(app.open_business_beside_deliveries(of_party), 'allocations')
$$;
revoke all on function app.open_business from public;
grant execute on function app.open_business to posx_app;
