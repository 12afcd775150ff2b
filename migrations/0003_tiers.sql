create table chain_assets (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  chain text not null check (chain in ('ETH', 'POLYGON', 'BSC', 'TRON')),
  symbol text not null check (symbol ~ '^[A-Z0-9]{1,16}$'),
  decimals smallint not null check (decimals between 0 and 18),
  provider_asset text not null,
  vault text not null,
  active boolean not null default true,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint chain_assets_chain_symbol_key unique (site_id, chain, symbol)
);
call app.isolate('chain_assets', 'select, insert, update');

create table tiers (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (length(name) between 1 and 200),
  description text not null default '',
  asset_id uuid not null,
  currency text not null,
  list_price bigint not null check (list_price > 0),
  promo_price bigint,
  promo_from timestamptz,
  promo_until timestamptz,
  tokens_per_unit numeric(39, 0) not null check (tokens_per_unit > 0),
  bonus_per_unit numeric(39, 0) not null default 0 check (bonus_per_unit >= 0),
  max_per_order integer not null check (max_per_order between 1 and 1000),
  max_per_buyer integer check (max_per_buyer >= 1),
  active boolean not null default true,
  position integer not null default 0,
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint tiers_promo_complete check (
    (promo_price is null and promo_from is null and promo_until is null)
    or (promo_price >= 0 and promo_price < list_price and promo_from < promo_until)),
  foreign key (site_id, asset_id) references chain_assets (site_id, id)
);
create index tiers_position_idx on tiers (site_id, position, id);
call app.isolate('tiers', 'select, insert, update');

-- The guarded counter, in a narrow table of its own: its row is the one that parallel buyers wait for.
create table tier_stock (
  site_id uuid not null default app.current_site_id() references sites (id),
  tier_id uuid not null,
  supply bigint not null check (supply >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  sold bigint not null default 0 check (sold >= 0),
  primary key (site_id, tier_id),
  constraint tier_stock_never_oversold check (reserved + sold <= supply),
  foreign key (site_id, tier_id) references tiers (site_id, id)
) with (fillfactor = 50);
call app.isolate('tier_stock', 'select, insert, update');

-- Append-only; the movements of a tier sum to its counters.
create table stock_movements (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  tier_id uuid not null,
  kind text not null check (kind in ('create', 'correct', 'reserve', 'release', 'sell', 'unsell')),
  supply_delta bigint not null default 0,
  reserved_delta bigint not null default 0,
  sold_delta bigint not null default 0,
  order_id uuid,
  reason text,
  actor_id uuid,
  at timestamptz not null,
  primary key (site_id, id),
  foreign key (site_id, tier_id) references tiers (site_id, id),
  constraint stock_movements_correction_has_reason check (kind <> 'correct' or length(reason) > 0)
);
create index stock_movements_tier_idx on stock_movements (site_id, tier_id, id);
call app.isolate('stock_movements', 'select, insert');
create trigger never_changed before update or delete on stock_movements for each row execute function app.refuse_change();

-- How much one buyer holds of a tier that limits it; the same guard as the stock, one row a buyer.
create table tier_buyers (
  site_id uuid not null default app.current_site_id() references sites (id),
  tier_id uuid not null,
  party_id uuid not null,
  quantity integer not null check (quantity >= 0),
  primary key (site_id, tier_id, party_id),
  foreign key (site_id, tier_id) references tiers (site_id, id),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('tier_buyers', 'select, insert, update');
