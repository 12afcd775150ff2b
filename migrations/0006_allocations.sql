create table allocation_batches (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  created_by uuid not null,
  size smallint not null check (size between 1 and 100),
  created_at timestamptz not null,
  primary key (site_id, id),
  foreign key (created_by) references identities (id)
);
call app.isolate('allocation_batches', 'select, insert');

create table allocations (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  line_id uuid not null,
  party_id uuid not null,
  asset_id uuid not null,
  address text not null,
  amount numeric(39, 0) not null check (amount > 0),
  state text not null check (state in ('pending', 'queued', 'unknown', 'submitted', 'confirming', 'done', 'failed')),
  batch_id uuid,
  -- The try that `external_id` names; a new one begins only after the last is proven failed and not on chain.
  try smallint not null default 0 check (try >= 0),
  external_id text,
  provider_id text,
  tx_hash text,
  confirmations integer not null default 0,
  reason text,
  needs_person boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  confirmed_at timestamptz,
  primary key (site_id, id),
  -- Made once per paid order line.
  constraint allocations_line_key unique (site_id, line_id),
  constraint allocations_external_id_key unique (site_id, external_id),
  -- A report may name the custodian's id only.
  constraint allocations_provider_id_key unique (site_id, provider_id),
  constraint allocations_done_has_proof check (state <> 'done' or (tx_hash is not null and confirmed_at is not null)),
  constraint allocations_sent_has_external_id check (state in ('pending', 'queued') or external_id is not null),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, line_id) references order_lines (site_id, id),
  foreign key (site_id, party_id) references parties (site_id, id),
  foreign key (site_id, asset_id) references chain_assets (site_id, id),
  foreign key (site_id, batch_id) references allocation_batches (site_id, id)
);
create index allocations_state_idx on allocations (site_id, state, id desc);
create index allocations_party_idx on allocations (site_id, party_id, id desc);
create index allocations_order_idx on allocations (site_id, order_id);
create index allocations_batch_idx on allocations (site_id, batch_id);
create index allocations_stuck_idx on allocations (site_id, updated_at)
  where state in ('queued', 'unknown', 'submitted', 'confirming');
call app.isolate('allocations', 'select, insert, update');
