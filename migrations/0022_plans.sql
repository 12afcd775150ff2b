-- Plans by difference, caps, rates by tier; what holds for one agent.

-- In force at a time is the version that began last, unless it has ended by then. A window is a fact once it has begun.
-- `active` is not read any more; it goes with a later release.
alter table commission_plans
  -- {"grades": [{"name": "bronze", "rate": "0.1"}, …], "default_grade": "bronze", "depth": 64}, in place of levels.
  add column difference jsonb,
  add column effective_from timestamptz,
  add column effective_until timestamptz,
  -- Counts the activations of a site: of two that begin at the same time, the later one holds.
  add column activation integer check (activation >= 1),
  add constraint commission_plans_one_mode check ((difference is null) = (jsonb_array_length(levels) > 0)),
  add constraint commission_plans_began check ((effective_from is null) = (activation is null)),
  add constraint commission_plans_window check (effective_until is null or effective_until >= effective_from),
  add constraint commission_plans_activation_key unique (site_id, activation);
create index commission_plans_in_force_idx on commission_plans (site_id, effective_from desc, activation desc)
  where effective_from is not null;

create or replace function app.plan_content_never_changes() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.id, new.name, new.version, new.levels, new.difference, new.hold_days, new.created_at)
     is distinct from (old.id, old.name, old.version, old.levels, old.difference, old.hold_days, old.created_at) then
    raise exception 'a plan version is never edited: make a new version' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;

-- What holds for one agent in place of what the plan says: {"grade": "gold", "levels": [{"level": 1, "rate": "0.2"}]}.
-- In force at a time is what began last; what was is never changed, and nothing begins in the past.
create table agent_terms (
  site_id uuid not null default app.current_site_id() references sites (id),
  agent_id uuid not null,
  -- Counts from 1 for the agent: of two that begin at the same time, the later one holds.
  number integer not null check (number >= 1),
  effective_from timestamptz not null,
  terms jsonb not null,
  recorded_at timestamptz not null,
  primary key (site_id, agent_id, number),
  constraint agent_terms_not_retroactive check (effective_from >= recorded_at),
  foreign key (site_id, agent_id) references parties (site_id, id)
);
create index agent_terms_in_force_idx on agent_terms (site_id, agent_id, effective_from desc, number desc);
call app.isolate('agent_terms', 'select, insert');
create trigger never_changed before update or delete on agent_terms
  for each row execute function app.refuse_change();

-- What the engine was told of the ancestor beside the sales: terms, what the month had brought, the rate passed below.
alter table commission_decisions add column facts jsonb not null default '{}';

-- A chain of grades is longer than one of levels.
alter table commissions
  drop constraint commissions_level_check,
  add constraint commissions_level_check check (level between 1 and 64),
  -- The first day of the month in which the order was paid, in the site's time zone: what a month's cap sums over.
  add column month date;

do $$
declare
  site record;
begin
  for site in select s.id, s.time_zone from public.sites s loop
    perform set_config('app.current_site_id', site.id::text, true);
    update public.commission_plans set effective_from = created_at, activation = 1 where active;
    update public.commissions c set month = date_trunc('month', o.paid_at at time zone site.time_zone)::date
    from public.orders o where o.site_id = c.site_id and o.id = c.order_id;
  end loop;
  perform set_config('app.current_site_id', '', true);
end $$;

create index commissions_month_idx on commissions (site_id, agent_id, currency, month) include (amount);
create index orders_paid_idx on orders (site_id, paid_at, id) where paid_at is not null;
