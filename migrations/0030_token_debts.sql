-- How buyers' debts of tokens end, and what the provider says of agents' accounts.

alter table allocations
  -- Of what was sent: came back from the buyer. It is another part of the line from then on.
  add column received numeric(39, 0) not null default 0 check (received >= 0),
  -- Of what is owed: given up by staff.
  add column waived numeric(39, 0) not null default 0 check (waived >= 0),
  drop constraint allocations_parts_within_amount,
  add constraint allocations_parts_within_amount check (cut + owed + received <= amount),
  add constraint allocations_only_what_was_sent_is_settled check (received + waived = 0 or state = 'done');
drop index allocations_owed_idx;
create index allocations_owed_idx on allocations (site_id, id desc) where owed > waived;

create table token_settlements (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  allocation_id uuid not null,
  how text not null check (how in ('received', 'waived')),
  amount numeric(39, 0) not null check (amount > 0),
  reason text not null check (length(reason) between 1 and 500),
  -- By which the tokens came back.
  tx_hash text check (length(tx_hash) between 1 and 200),
  made_by uuid not null references identities (id),
  at timestamptz not null,
  primary key (site_id, id),
  constraint token_settlements_what_came_back_has_a_transaction check ((tx_hash is not null) = (how = 'received')),
  foreign key (site_id, allocation_id) references allocations (site_id, id)
);
create index token_settlements_allocation_idx on token_settlements (site_id, allocation_id, id desc);
call app.isolate('token_settlements', 'select, insert');
create trigger never_changed before update or delete on token_settlements
  for each row execute function app.refuse_change();

-- What an allocation says came back or was given up is what its settlements say, whichever of the two was written.
create function app.check_token_settlements() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  of_allocation uuid := case tg_table_name when 'allocations' then to_jsonb(new) ->> 'id' else to_jsonb(new) ->> 'allocation_id' end;
  said record;
  summed record;
begin
  select a.received, a.waived into said from public.allocations a where a.site_id = new.site_id and a.id = of_allocation;
  select coalesce(sum(s.amount) filter (where s.how = 'received'), 0) as received,
         coalesce(sum(s.amount) filter (where s.how = 'waived'), 0) as waived
  into summed from public.token_settlements s where s.site_id = new.site_id and s.allocation_id = of_allocation;
  if said is distinct from summed then
    raise exception 'allocation %: what was settled is not what its settlements sum to', of_allocation
      using errcode = 'check_violation', constraint = 'allocations_settled_is_their_sum', table = 'allocations';
  end if;
  return null;
end $$;
revoke all on function app.check_token_settlements from public;
create constraint trigger settled_is_their_sum after update of received, waived on allocations
  deferrable initially deferred for each row
  when (new.received <> old.received or new.waived <> old.waived)
  execute function app.check_token_settlements();
create constraint trigger settled_is_their_sum after insert on token_settlements
  deferrable initially deferred for each row execute function app.check_token_settlements();

-- What the provider said last of a connected account; unknown before it said anything.
alter table payout_accounts
  add column payouts_enabled boolean,
  add column charges_enabled boolean,
  -- The provider's word for why it is restricted.
  add column disabled_reason text check (length(disabled_reason) between 1 and 100),
  add column standing_at timestamptz,
  -- Money did not get from the account to its owner's bank, and the owner must see to it: the provider's id of that payout.
  add column stuck_payout text check (length(stuck_payout) between 1 and 255),
  add constraint payout_accounts_standing check (
    (payouts_enabled is null) = (standing_at is null) and (charges_enabled is null) = (standing_at is null)
    and (method = 'connect' or (standing_at is null and stuck_payout is null)));
alter table settlement_lines drop constraint settlement_lines_left_because_check;
alter table settlement_lines add constraint settlement_lines_left_because_check
  check (left_because in ('negative', 'below_minimum', 'no_account', 'account_cooling_off', 'account_disabled', 'batch_full'));
