create table wallets (
  site_id uuid not null default app.current_site_id() references sites (id),
  party_id uuid not null,
  chain_family text not null check (chain_family in ('EVM', 'TRON')),
  -- Canonical: EIP-55 or Base58Check. One address belongs to one party of the site.
  address text not null,
  bound_at timestamptz not null,
  primary key (site_id, party_id, chain_family),
  constraint wallets_address_key unique (site_id, chain_family, address),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('wallets', 'select, insert, update');

create table commission_plans (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (length(name) between 1 and 200),
  version integer not null check (version >= 1),
  -- [{"level": 1, "rate": "0.12", "minimum_sales": {"amount": "0.00", "currency": "USD"}}, …]
  levels jsonb not null,
  hold_days integer not null check (hold_days between 0 and 365),
  active boolean not null default false,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint commission_plans_version_key unique (site_id, name, version)
);
create unique index commission_plans_one_active on commission_plans (site_id) where active;
call app.isolate('commission_plans', 'select, insert, update');
create function app.plan_content_never_changes() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.id, new.name, new.version, new.levels, new.hold_days, new.created_at)
     is distinct from (old.id, old.name, old.version, old.levels, old.hold_days, old.created_at) then
    raise exception 'a plan version is never edited: make a new version' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
revoke all on function app.plan_content_never_changes from public;
create trigger content_never_changes before update on commission_plans
  for each row execute function app.plan_content_never_changes();

create table orders (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  number text not null,
  kind text not null check (kind in ('token')),
  buyer_id uuid not null,
  lifecycle text not null check (lifecycle in ('placed', 'confirmed', 'fulfilled', 'cancelled', 'expired')),
  payment text not null check (payment in ('unpaid', 'partial', 'paid', 'partly_refunded', 'refunded')),
  delivery text not null check (delivery in ('none', 'pending', 'partial', 'done', 'failed')),
  approval text not null default 'not_needed' check (approval in ('not_needed', 'pending', 'approved', 'rejected')),
  disputed boolean not null default false,
  -- A person should look: paid late and refunded, an amount that is not ours, …
  attention text,
  currency text not null,
  subtotal bigint not null check (subtotal >= 0),
  discount bigint not null default 0 check (discount >= 0),
  tax bigint not null default 0 check (tax >= 0),
  shipping bigint not null default 0 check (shipping >= 0),
  total bigint not null check (total >= 0),
  captured bigint not null default 0 check (captured >= 0),
  refunded bigint not null default 0 check (refunded >= 0),
  chain text not null,
  wallet_address text not null,
  referrer_id uuid,
  -- Frozen at placing: the plan by whose rules this order's commissions are counted; null when the site has none.
  plan_snapshot jsonb,
  placed_at timestamptz not null,
  expires_at timestamptz not null,
  paid_at timestamptz,
  closed_at timestamptz,
  version integer not null default 1,
  primary key (site_id, id),
  constraint orders_number_key unique (site_id, number),
  constraint orders_total_adds_up check (subtotal - discount + tax + shipping = total),
  constraint orders_refund_within_capture check (refunded <= captured),
  foreign key (site_id, buyer_id) references parties (site_id, id),
  foreign key (site_id, referrer_id) references parties (site_id, id)
);
create index orders_buyer_idx on orders (site_id, buyer_id, id desc);
create index orders_lifecycle_idx on orders (site_id, lifecycle, id desc);
create index orders_expiry_idx on orders (site_id, expires_at) where lifecycle = 'placed';
call app.isolate('orders', 'select, insert, update');

create table order_lines (
  site_id uuid not null default app.current_site_id() references sites (id),
  order_id uuid not null,
  id uuid not null,
  position smallint not null,
  tier_id uuid not null,
  tier_name text not null,
  asset_id uuid not null,
  quantity integer not null check (quantity >= 1),
  unit_price bigint not null check (unit_price >= 0),
  amount bigint not null,
  tokens numeric(39, 0) not null check (tokens > 0),
  -- Whether the tier counts what one buyer holds: then releasing the line gives it back.
  counted_per_buyer boolean not null default false,
  primary key (site_id, id),
  constraint order_lines_position_key unique (site_id, order_id, position),
  constraint order_lines_amount check (amount = unit_price * quantity),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, tier_id) references tiers (site_id, id),
  foreign key (site_id, asset_id) references chain_assets (site_id, id)
);
create index order_lines_tier_idx on order_lines (site_id, tier_id);
call app.isolate('order_lines', 'select, insert');

alter table referrals add foreign key (site_id, order_id) references orders (site_id, id);
alter table stock_movements add foreign key (site_id, order_id) references orders (site_id, id);

create table payment_attempts (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  provider text not null,
  intent_id text,
  currency text not null,
  amount bigint not null check (amount > 0),
  received bigint not null default 0 check (received >= 0),
  state text not null check (state in ('created', 'requires_action', 'processing', 'succeeded', 'cancelled')),
  -- The provider's answer to creating the intent is not known yet: it is asked for before anything is sent again.
  outcome_unknown boolean not null default true,
  last_decline text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint payment_attempts_intent_key unique (site_id, provider, intent_id),
  foreign key (site_id, order_id) references orders (site_id, id)
);
-- One open attempt an order: two tabs pay one intent.
create unique index payment_attempts_one_open on payment_attempts (site_id, order_id)
  where state in ('created', 'requires_action', 'processing');
create index payment_attempts_order_idx on payment_attempts (site_id, order_id);
create index payment_attempts_unknown_idx on payment_attempts (site_id, created_at) where outcome_unknown;
call app.isolate('payment_attempts', 'select, insert, update');

create table refunds (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  attempt_id uuid not null,
  currency text not null,
  amount bigint not null check (amount > 0),
  reason text not null,
  state text not null check (state in ('pending', 'succeeded', 'failed', 'cancelled')),
  provider_refund_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  -- One automatic refund for one reason: a second delivery of the cause changes nothing.
  constraint refunds_once unique (site_id, attempt_id, reason),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, attempt_id) references payment_attempts (site_id, id)
);
create index refunds_order_idx on refunds (site_id, order_id);
create index refunds_pending_idx on refunds (site_id, created_at) where state = 'pending';
call app.isolate('refunds', 'select, insert, update');
