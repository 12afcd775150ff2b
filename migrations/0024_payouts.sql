-- Settlement batches, payouts, withdrawals.

-- What money of one currency may do on its way out. Without a row the product's defaults hold.
create table payout_rules (
  site_id uuid not null default app.current_site_id() references sites (id),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  -- Less than this stays with the agent's balance.
  minimum bigint not null check (minimum > 0),
  -- Of one withdrawal.
  maximum bigint,
  -- What an agent owes is given up when it is not above this, and as old as that.
  write_off_up_to bigint check (write_off_up_to > 0),
  write_off_after_days integer check (write_off_after_days between 1 and 3650),
  -- The site's own bank account, from which files of payments pay.
  debtor_name text,
  debtor_iban text,
  debtor_bic text,
  version integer not null check (version > 0),
  updated_at timestamptz not null,
  primary key (site_id, currency),
  constraint payout_rules_maximum check (maximum >= minimum),
  constraint payout_rules_write_off check ((write_off_up_to is null) = (write_off_after_days is null)),
  constraint payout_rules_debtor check ((debtor_name is null) = (debtor_iban is null))
);
call app.isolate('payout_rules', 'select, insert, update');

-- Where an agent's money goes. Each change is another version: what was sent by an older one can still be told.
create table payout_accounts (
  site_id uuid not null default app.current_site_id() references sites (id),
  party_id uuid not null,
  method text not null check (method in ('connect', 'bank')),
  version integer not null check (version > 0),
  -- Holder, IBAN and BIC; of a bank account that is not forgotten.
  details_sealed bytea,
  -- What of it is shown.
  masked text not null check (length(masked) between 1 and 60),
  -- The provider's id of a connected account.
  connect_account text,
  created_at timestamptz not null,
  -- It took another's place: no money goes there before.
  usable_from timestamptz not null,
  removed_at timestamptz,
  primary key (site_id, party_id, method, version),
  constraint payout_accounts_connect check ((method = 'connect') = (connect_account is not null)),
  constraint payout_accounts_details check (details_sealed is null or method = 'bank'),
  constraint payout_accounts_connect_key unique (site_id, connect_account),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('payout_accounts', 'select, insert, update');

-- Whose person is forgotten, nothing is sent to any more.
create function app.forget_payout_accounts() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  update public.payout_accounts a
  set details_sealed = null, masked = 'erased', removed_at = coalesce(a.removed_at, new.erased_at)
  where a.site_id = new.site_id and a.party_id = new.id;
  return null;
end $$;
revoke all on function app.forget_payout_accounts from public;
create trigger forgets_payout_accounts after update of erased_at on parties
  for each row when (new.erased_at is not null) execute function app.forget_payout_accounts();

create table settlements (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  method text not null check (method in ('connect', 'bank', 'manual')),
  state text not null check (state in ('draft', 'approved', 'paying', 'done', 'partly_failed', 'discarded')),
  -- Of the preview: counted up each time it is made anew.
  revision integer not null check (revision > 0),
  lines_hash bytea not null check (length(lines_hash) = 32),
  made_by uuid not null references identities (id),
  approved_by uuid references identities (id),
  approved_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint settlements_two_people check (approved_by <> made_by),
  constraint settlements_approved check (
    (approved_by is not null) = (state not in ('draft', 'discarded')) and (approved_by is null) = (approved_at is null))
);
-- Two previews would promise the same money twice.
create unique index settlements_one_draft on settlements (site_id) where state = 'draft';
call app.isolate('settlements', 'select, insert, update');

-- What a preview says of each agent. A line that is paid has the id of its payout.
create table settlement_lines (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  settlement_id uuid not null,
  revision integer not null check (revision > 0),
  agent_id uuid not null,
  currency text not null,
  -- What the agent could have; below zero it is owed.
  amount bigint not null check (amount <> 0),
  account_version integer,
  -- Why it is not paid this time.
  left_because text check (left_because in ('negative', 'below_minimum', 'no_account', 'account_cooling_off', 'batch_full')),
  primary key (site_id, id),
  constraint settlement_lines_once unique (site_id, settlement_id, revision, agent_id, currency),
  constraint settlement_lines_paid_is_positive check (amount > 0 or left_because = 'negative'),
  foreign key (site_id, settlement_id) references settlements (site_id, id),
  foreign key (site_id, agent_id) references parties (site_id, id)
);
create index settlement_lines_agent_idx on settlement_lines (site_id, agent_id, id desc);
call app.isolate('settlement_lines', 'select, insert');
create trigger never_changed before update or delete on settlement_lines
  for each row execute function app.refuse_change();

-- Which settlement pays it, or paid it.
alter table commissions add column settlement_id uuid,
  add constraint commissions_settlement_fkey foreign key (site_id, settlement_id) references settlements (site_id, id);
create index commissions_settlement_idx on commissions (site_id, settlement_id, agent_id);

-- Money on its way to an agent: a line of a settlement, or (without one) a withdrawal that the agent asked for.
create table payouts (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  settlement_id uuid,
  agent_id uuid not null,
  currency text not null,
  amount bigint not null check (amount > 0),
  method text not null check (method in ('connect', 'bank', 'manual')),
  account_version integer,
  state text not null check (state in ('requested', 'approved', 'sending', 'done', 'failed', 'returned', 'rejected', 'cancelled')),
  -- How often it was begun to be sent; part of the key that it is sent under.
  tries integer not null check (tries >= 0),
  begun_at timestamptz,
  -- The provider's id of the transfer, or what the person wrote down who paid it.
  reference text,
  -- Why the last try failed, or why it was refused or given back.
  reason text,
  -- How much of it came back after it had been paid.
  reversed bigint not null default 0,
  decided_by uuid references identities (id),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint payouts_account check ((method = 'manual') = (account_version is null)),
  constraint payouts_reversed check (reversed between 0 and amount and (reversed = 0 or state in ('done', 'returned'))),
  constraint payouts_done_has_reference check (state <> 'done' or reference is not null),
  constraint payouts_begun check ((tries = 0) = (begun_at is null)),
  foreign key (site_id, settlement_id) references settlements (site_id, id),
  foreign key (site_id, agent_id) references parties (site_id, id),
  foreign key (site_id, agent_id, method, account_version) references payout_accounts (site_id, party_id, method, version)
);
create unique index payouts_one_open_withdrawal on payouts (site_id, agent_id, currency)
  where settlement_id is null and state in ('requested', 'approved', 'sending', 'failed');
create unique index payouts_transfer_key on payouts (site_id, reference) where method = 'connect';
create index payouts_settlement_idx on payouts (site_id, settlement_id, id desc);
create index payouts_agent_idx on payouts (site_id, agent_id, id desc);
create index payouts_state_idx on payouts (site_id, state, updated_at);
call app.isolate('payouts', 'select, insert, update');

-- A payout goes one way through its states, and what it is about never changes.
create function app.check_payout_move() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  if (new.settlement_id, new.agent_id, new.currency, new.amount, new.method)
     is distinct from (old.settlement_id, old.agent_id, old.currency, old.amount, old.method)
     or new.tries not between old.tries and old.tries + 1 or new.reversed < old.reversed
     or (new.state <> old.state and (old.state, new.state) not in (
       ('requested', 'approved'), ('requested', 'rejected'), ('requested', 'cancelled'), ('approved', 'sending'),
       ('approved', 'cancelled'), ('sending', 'done'), ('sending', 'failed'), ('failed', 'approved'), ('failed', 'returned'),
       ('done', 'returned'))) then
    raise exception 'payout % cannot go from % to %', old.id, old.state, new.state
      using errcode = 'check_violation', constraint = 'payouts_move', table = 'payouts';
  end if;
  return new;
end $$;
revoke all on function app.check_payout_move from public;
create trigger moves before update on payouts for each row execute function app.check_payout_move();
create trigger never_deleted before delete on payouts for each row execute function app.refuse_change();

-- Payments that were handed to the bank together. A file is written again from its rows, byte for byte.
create table payout_files (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  currency text not null,
  debtor_name text not null,
  debtor_iban text not null,
  debtor_bic text,
  payouts integer not null check (payouts > 0),
  total bigint not null check (total > 0),
  created_by uuid not null references identities (id),
  created_at timestamptz not null,
  primary key (site_id, id)
);
call app.isolate('payout_files', 'select, insert');
create trigger never_changed before update or delete on payout_files for each row execute function app.refuse_change();

create table payout_file_lines (
  site_id uuid not null default app.current_site_id() references sites (id),
  file_id uuid not null,
  payout_id uuid not null,
  try integer not null check (try > 0),
  account_version integer not null,
  primary key (site_id, file_id, payout_id),
  -- A try is in one file.
  constraint payout_file_lines_once unique (site_id, payout_id, try),
  foreign key (site_id, file_id) references payout_files (site_id, id),
  foreign key (site_id, payout_id) references payouts (site_id, id)
);
call app.isolate('payout_file_lines', 'select, insert');
create trigger never_changed before update or delete on payout_file_lines
  for each row execute function app.refuse_change();

-- What agents owed, and will not pay.
create table write_offs (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  agent_id uuid not null,
  currency text not null,
  amount bigint not null check (amount > 0),
  reason text not null check (length(reason) between 1 and 500),
  -- The identity; null: the site's rule.
  made_by uuid references identities (id),
  at timestamptz not null,
  primary key (site_id, id),
  foreign key (site_id, agent_id) references parties (site_id, id)
);
create index write_offs_agent_idx on write_offs (site_id, agent_id, id desc);
call app.isolate('write_offs', 'select, insert');
create trigger never_changed before update or delete on write_offs for each row execute function app.refuse_change();

-- What agents have, in each currency. `held_back` is what is left of commissions that are held or frozen, or will be: of a
-- disputed order, as long as nobody approved of paying them. `ready` is what is left of those that no settlement has taken up.
-- Available is balance - held_back; what a settlement pays is that without `ready`.
create function app.agent_balances(of_agents uuid[])
returns table (agent_id uuid, currency text, balance bigint, held_back bigint, ready bigint)
language sql stable set search_path = pg_catalog, public
as $$
  with booked as (
    select a.party_id, a.unit, -sum(p.amount) as balance
    from public.accounts a join public.postings p on p.site_id = a.site_id and p.account = a.code and p.unit = a.unit
    where a.site_id = (select app.current_site_id()) and a.code like 'commission:payable:%'
      and (of_agents is null or a.party_id = any (of_agents))
    group by a.party_id, a.unit),
  earned as (
    select c.agent_id, c.currency,
      sum(c.amount - c.reversed) filter (where c.state in ('held', 'frozen') or o.disputed) as held_back,
      sum(c.amount - c.reversed) filter (where c.state = 'ready' and not o.disputed) as ready
    from public.commissions c
    join public.orders o on o.site_id = c.site_id and o.id = c.order_id
    left join public.settlements s on s.site_id = c.site_id and s.id = c.settlement_id
    where c.site_id = (select app.current_site_id()) and (of_agents is null or c.agent_id = any (of_agents))
      and (c.state in ('held', 'frozen', 'ready') or (c.state = 'batched' and s.state = 'draft' and o.disputed))
    group by c.agent_id, c.currency)
  select b.party_id, b.unit, b.balance::bigint, coalesce(e.held_back, 0)::bigint, coalesce(e.ready, 0)::bigint
  from booked b left join earned e on e.agent_id = b.party_id and e.currency = b.unit
$$;
revoke all on function app.agent_balances from public;
grant execute on function app.agent_balances to posx_app;
