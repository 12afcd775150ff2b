create table commissions (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  agent_id uuid not null,
  level smallint not null check (level between 1 and 10),
  rate numeric(7, 6) not null,
  currency text not null,
  base bigint not null check (base >= 0),
  amount bigint not null,
  state text not null check (state in ('held', 'ready', 'batched', 'paid', 'frozen', 'void')),
  hold_until timestamptz not null,
  plan_id uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  -- Running the calculation again creates nothing.
  constraint commissions_once unique (site_id, order_id, agent_id, level),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, agent_id) references parties (site_id, id),
  foreign key (site_id, plan_id) references commission_plans (site_id, id)
);
create index commissions_agent_idx on commissions (site_id, agent_id, id desc);
create index commissions_state_idx on commissions (site_id, state, id desc);
create index commissions_held_idx on commissions (site_id, hold_until) where state = 'held';
create index commissions_plan_idx on commissions (site_id, plan_id);
call app.isolate('commissions', 'select, insert, update');

-- Orders whose shares are decided, also when nobody earned: a replay that comes after the buyer was bound by a later
-- order creates nothing.
create table commission_runs (
  site_id uuid not null default app.current_site_id() references sites (id),
  order_id uuid not null,
  at timestamptz not null,
  primary key (site_id, order_id),
  foreign key (site_id, order_id) references orders (site_id, id)
);
call app.isolate('commission_runs', 'select, insert');
create trigger never_changed before update or delete on commission_runs
  for each row execute function app.refuse_change();

-- What the engine saw and decided for each ancestor, also for those who got nothing: enough to count it again.
create table commission_decisions (
  site_id uuid not null default app.current_site_id() references sites (id),
  order_id uuid not null,
  level smallint not null,
  agent_id uuid not null,
  agent_sales bigint not null,
  outcome text not null check (outcome in ('earned', 'skipped')),
  reason text,
  at timestamptz not null,
  primary key (site_id, order_id, level),
  constraint commission_decisions_skip_has_reason check ((outcome = 'skipped') = (reason is not null)),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, agent_id) references parties (site_id, id)
);
create index commission_decisions_agent_idx on commission_decisions (site_id, agent_id);
call app.isolate('commission_decisions', 'select, insert');
create trigger never_changed before update or delete on commission_decisions
  for each row execute function app.refuse_change();
