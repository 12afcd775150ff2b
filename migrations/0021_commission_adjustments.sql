-- What refunds and disputes took from commissions, and gave back.
alter table commissions
  -- How much of the amount was taken back.
  add column reversed bigint not null default 0,
  -- Where it goes when it is neither frozen nor void any more.
  add column back_to text check (back_to in ('held', 'ready')),
  add constraint commissions_reversed_within_amount check (reversed between 0 and amount),
  add constraint commissions_goes_back_somewhere check ((back_to is not null) = (state in ('frozen', 'void'))),
  add constraint commissions_void_has_nothing_left check (state <> 'void' or reversed = amount);

create table commission_adjustments (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  commission_id uuid not null,
  order_id uuid not null,
  -- 1, 2, 3 … of one commission. Ids are made before the wait for it, and do not say who was first.
  number integer not null check (number >= 1),
  -- A clawback takes from what is paid out already, or about to be.
  kind text not null check (kind in ('reversal', 'restoration', 'clawback')),
  currency text not null,
  amount bigint not null check (amount > 0),
  reversed_before bigint not null check (reversed_before >= 0),
  reversed_after bigint not null check (reversed_after >= 0),
  -- What it was counted from: how much of the order's total had gone back in all.
  returned bigint not null check (returned >= 0),
  total bigint not null check (total > 0),
  at timestamptz not null,
  primary key (site_id, id),
  constraint commission_adjustments_number_key unique (site_id, commission_id, number),
  constraint commission_adjustments_amount check (
    amount = case kind when 'restoration' then reversed_before - reversed_after else reversed_after - reversed_before end),
  foreign key (site_id, commission_id) references commissions (site_id, id),
  foreign key (site_id, order_id) references orders (site_id, id)
);
create index commission_adjustments_order_idx on commission_adjustments (site_id, order_id, number);
call app.isolate('commission_adjustments', 'select, insert');
create trigger never_changed before update or delete on commission_adjustments
  for each row execute function app.refuse_change();

-- Checked at commit: what was taken back of a commission is what its adjustments say, and nothing else writes it.
create function app.check_commission_reversed() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  its_id uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
begin
  if exists (
    select from public.commissions c
    where c.site_id = new.site_id and c.id = its_id and c.reversed <> (
      select coalesce(sum(a.reversed_after - a.reversed_before), 0) from public.commission_adjustments a
      where a.site_id = c.site_id and a.commission_id = c.id)) then
    raise exception 'commission % is not what its adjustments sum to', its_id
      using errcode = 'check_violation', constraint = 'commissions_reversed_adds_up', table = 'commissions';
  end if;
  return null;
end $$;
revoke all on function app.check_commission_reversed from public;
create constraint trigger made_with_nothing_reversed after insert on commissions deferrable initially deferred
  for each row when (new.reversed <> 0) execute function app.check_commission_reversed('id');
create constraint trigger reversed_adds_up after update on commissions deferrable initially deferred
  for each row when (new.reversed <> old.reversed) execute function app.check_commission_reversed('id');
create constraint trigger reversed_adds_up after insert on commission_adjustments deferrable initially deferred
  for each row execute function app.check_commission_reversed('commission_id');
