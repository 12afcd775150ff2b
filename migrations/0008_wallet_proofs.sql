-- Nonces of messages that wallets sign (EIP-4361): each is used once, by whom it was issued to.
create table wallet_challenges (
  site_id uuid not null default app.current_site_id() references sites (id),
  nonce text not null check (nonce ~ '^[0-9a-zA-Z]{8,64}$'),
  -- Null: someone who signs in.
  holder_id uuid references identities (id),
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  primary key (site_id, nonce),
  constraint wallet_challenges_expire check (expires_at > issued_at)
);
create index wallet_challenges_expiry_idx on wallet_challenges (site_id, expires_at);
call app.isolate('wallet_challenges', 'select, insert, update, delete');

-- When the holder of the address last signed for us; null for one that was only typed.
alter table wallets add column proven_at timestamptz;
-- A contract wallet is proven on one chain (EIP-155 id): at the same address of another chain may stand another's.
alter table wallets add column contract_chain_id bigint check (contract_chain_id > 0);
-- Set when the address took another's place: custody sends nothing to it before.
alter table wallets add column usable_from timestamptz;
alter table wallets add constraint wallets_contract_is_proven
  check (contract_chain_id is null or proven_at is not null);

-- As it stood when the order was placed, and then the same on what is delivered for it.
alter table orders add column wallet_usable_from timestamptz;
alter table allocations add column wallet_usable_from timestamptz;
