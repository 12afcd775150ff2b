-- Promo codes: what a code gives, when, how often and to whom. They are edited and deactivated, never deleted.
create table promo_codes (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  -- As it is looked for: without blanks around it, in upper case. It never changes.
  code text not null check (code ~ '^[A-Z0-9_-]{3,40}$'),
  currency text not null,
  discount_rate numeric(7, 6) check (discount_rate > 0 and discount_rate <= 1),
  discount_amount bigint check (discount_amount > 0),
  bonus_asset_id uuid,
  bonus_tokens numeric(39, 0) check (bonus_tokens > 0),
  -- What all orders together get at most.
  bonus_tokens_max numeric(39, 0),
  valid_from timestamptz,
  -- Exclusive.
  valid_until timestamptz,
  uses_max integer check (uses_max >= 1),
  uses_per_buyer integer check (uses_per_buyer >= 1),
  -- The least that the lines of an order cost together.
  minimum bigint not null default 0 check (minimum >= 0),
  -- Which tiers it is for; all when empty. Tiers are never deleted, and the use case has looked each up in this site.
  tiers uuid[] not null default '{}',
  active boolean not null,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint promo_codes_code_key unique (site_id, code),
  constraint promo_codes_gives_something check (num_nonnulls(discount_rate, discount_amount, bonus_tokens) > 0),
  constraint promo_codes_one_discount check (num_nonnulls(discount_rate, discount_amount) <= 1),
  constraint promo_codes_bonus_complete check (
    (bonus_asset_id is null) = (bonus_tokens is null)
    and (bonus_tokens_max is null or bonus_tokens_max >= bonus_tokens)),
  constraint promo_codes_window check (valid_from < valid_until),
  foreign key (site_id, bonus_asset_id) references chain_assets (site_id, id)
);
call app.isolate('promo_codes', 'select, insert, update');

-- The guarded counter, in a narrow table of its own, as a tier's stock is.
create table promo_code_counters (
  site_id uuid not null default app.current_site_id() references sites (id),
  promo_code_id uuid not null,
  used bigint not null default 0 check (used >= 0),
  bonus_given numeric(39, 0) not null default 0 check (bonus_given >= 0),
  primary key (site_id, promo_code_id),
  foreign key (site_id, promo_code_id) references promo_codes (site_id, id)
) with (fillfactor = 50);
call app.isolate('promo_code_counters', 'select, insert, update');

-- How often one buyer uses a code: the same guard, one row a buyer.
create table promo_code_buyers (
  site_id uuid not null default app.current_site_id() references sites (id),
  promo_code_id uuid not null,
  party_id uuid not null,
  used integer not null check (used >= 0),
  primary key (site_id, promo_code_id, party_id),
  foreign key (site_id, promo_code_id) references promo_codes (site_id, id),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('promo_code_buyers', 'select, insert, update');

-- One for each order that a code was applied to, with what it gave: an edit of the code changes nothing of it.
create table promo_code_usages (
  site_id uuid not null default app.current_site_id() references sites (id),
  order_id uuid not null,
  promo_code_id uuid not null,
  buyer_id uuid not null,
  currency text not null,
  discount bigint not null check (discount >= 0),
  bonus_tokens numeric(39, 0) not null check (bonus_tokens >= 0),
  -- released: the order lapsed or was cancelled, and the use was given back.
  state text not null check (state in ('used', 'released')),
  used_at timestamptz not null,
  released_at timestamptz,
  primary key (site_id, order_id),
  constraint promo_code_usages_released check ((state = 'released') = (released_at is not null)),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, promo_code_id) references promo_codes (site_id, id),
  foreign key (site_id, buyer_id) references parties (site_id, id)
);
create index promo_code_usages_code_idx on promo_code_usages (site_id, promo_code_id, order_id desc);
create index promo_code_usages_buyer_idx on promo_code_usages (site_id, buyer_id);
call app.isolate('promo_code_usages', 'select, insert, update');

alter table orders
  add column promo_code_id uuid,
  add foreign key (site_id, promo_code_id) references promo_codes (site_id, id);
-- Of the line's tokens: the bonus of a promo code, issued for this order and none of the tier's supply.
alter table order_lines
  add column promo_tokens numeric(39, 0) not null default 0,
  add constraint order_lines_promo_tokens check (promo_tokens >= 0 and promo_tokens < tokens);
