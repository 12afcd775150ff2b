-- The books: no money state without its entry, accounts as of any time, periods that are closed.

-- When it was posted, beside each posting: what an account held at a time, and its lines from then on, are one walk through one
-- index. A process of the release before does not name it; then the entry's own time is taken.
alter table postings add column posted_at timestamptz;
alter table postings disable trigger never_changed;
do $$
declare
  site record;
begin
  for site in select s.id from public.sites s loop
    perform set_config('app.current_site_id', site.id::text, true);
    update public.postings p set posted_at = e.posted_at
    from public.entries e where p.site_id = site.id and e.site_id = p.site_id and e.id = p.entry_id;
  end loop;
  perform set_config('app.current_site_id', '', true);
end $$;
alter table postings enable trigger never_changed;
alter table postings alter column posted_at set not null;
create function app.date_posting() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  new.posted_at := (select e.posted_at from public.entries e where e.site_id = new.site_id and e.id = new.entry_id);
  return new;
end $$;
revoke all on function app.date_posting from public;
create trigger dated before insert on postings
  for each row when (new.posted_at is null) execute function app.date_posting();

create index postings_time_idx on postings (site_id, account, unit, posted_at, entry_id) include (amount);
drop index postings_account_idx;

-- A stretch of time whose entries are complete: none is posted into it any more. One that was opened again keeps its row.
create table ledger_periods (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  -- 1, 2, 3 … One that was opened again gives its number to the one that is closed next.
  number integer not null check (number >= 1),
  -- Where the one before ended; null: the beginning of the books.
  from_at timestamptz,
  -- Exclusive.
  until_at timestamptz not null,
  -- SHA-256 of its balances and of the hash before.
  hash bytea not null check (length(hash) = 32),
  previous_hash bytea check (length(previous_hash) = 32),
  closed_by uuid not null references identities (id),
  closed_at timestamptz not null,
  reopened_by uuid references identities (id),
  reopened_at timestamptz,
  reopened_because text check (length(reopened_because) between 1 and 500),
  primary key (site_id, id),
  constraint ledger_periods_first check ((number = 1) = (from_at is null) and (number = 1) = (previous_hash is null)),
  constraint ledger_periods_last check (from_at < until_at),
  -- No transaction lives so long: whoever took the time before the boundary has committed, or never will.
  constraint ledger_periods_rested check (until_at <= closed_at - interval '1 hour'),
  constraint ledger_periods_reopened check (num_nonnulls(reopened_by, reopened_at, reopened_because) in (0, 3))
);
create unique index ledger_periods_number on ledger_periods (site_id, number) where reopened_at is null;
create index ledger_periods_boundary_idx on ledger_periods (site_id, until_at) where reopened_at is null;
call app.isolate('ledger_periods', 'select, insert, update');
create trigger never_deleted before delete on ledger_periods for each row execute function app.refuse_change();

-- What every account held when the period was closed: sums from the beginning of the books to the period's end.
create table ledger_period_balances (
  site_id uuid not null default app.current_site_id() references sites (id),
  period_id uuid not null,
  account text not null,
  unit text not null,
  debit numeric not null check (debit >= 0 and scale(debit) = 0),
  credit numeric not null check (credit >= 0 and scale(credit) = 0),
  primary key (site_id, period_id, account, unit),
  foreign key (site_id, period_id) references ledger_periods (site_id, id),
  foreign key (site_id, account, unit) references accounts (site_id, code, unit)
);
call app.isolate('ledger_period_balances', 'select, insert');
create trigger never_changed before update or delete on ledger_period_balances
  for each row execute function app.refuse_change();

-- Periods of a site are closed and opened again one after the other.
create function app.lock_periods(of_site uuid) returns void
language sql set search_path = pg_catalog
as $$ select pg_advisory_xact_lock(hashtextextended('ledger_periods:' || of_site::text, 0)) $$;

-- The next one begins where the last one ended; only the last one is opened again, once, and nothing else of it changes.
create function app.check_period() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  last public.ledger_periods;
begin
  perform app.lock_periods(new.site_id);
  select * into last from public.ledger_periods p
  where p.site_id = new.site_id and p.reopened_at is null order by p.number desc limit 1;
  if tg_op = 'INSERT' and new.reopened_at is null
     and (new.number, new.from_at, new.previous_hash) is not distinct from (coalesce(last.number, 0) + 1, last.until_at, last.hash)
     or tg_op = 'UPDATE' and new.reopened_at is not null and old.id = last.id
        and to_jsonb(new) - '{reopened_by,reopened_at,reopened_because}'::text[]
            is not distinct from to_jsonb(old) - '{reopened_by,reopened_at,reopened_because}'::text[] then
    return new;
  end if;
  raise exception 'periods of the books follow each other, and only the last one is opened again'
    using errcode = 'check_violation', constraint = 'ledger_periods_follow', table = 'ledger_periods';
end $$;
-- Its name sorts after site_never_changes, which speaks first.
create trigger stays_in_order before insert or update on ledger_periods for each row execute function app.check_period();

-- As before, and: its postings are dated as it is, and not into a period that is closed. At the commit, so that one that was
-- closed meanwhile counts too.
create or replace function app.check_entry_balance() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  entry uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
begin
  if not exists (select from public.postings p where p.site_id = new.site_id and p.entry_id = entry and p.line = 0)
     or exists (select from public.postings p where p.site_id = new.site_id and p.entry_id = entry
                group by p.unit having sum(p.amount) <> 0 or bool_or(p.posted_at <> new.posted_at)) then
    raise exception 'entry % does not balance', entry
      using errcode = 'check_violation', constraint = 'entries_balance', table = 'entries';
  end if;
  if new.posted_at < (select p.until_at from public.ledger_periods p
                      where p.site_id = new.site_id and p.reopened_at is null order by p.until_at desc limit 1) then
    raise exception 'entry % is dated into a closed period', entry
      using errcode = 'check_violation', constraint = 'entries_in_open_period', table = 'entries';
  end if;
  return null;
end $$;

-- No money state without its entry. Each function says whether a row is what the entries that it caused sum to. The same
-- functions refuse a commit (below), and are asked of every row each night. That an entry of the right kind came along would be
-- less: the sums leave no room for another amount, another order, or a second time.

-- Captured and refunded are the sums of entries; what was returned counts a loss only as far as refunds left something.
create function app.is_booked(o orders) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
declare
  its_captured numeric;
  its_refunded numeric;
  refunding numeric;
  lost numeric;
  of_sale numeric;
begin
  select coalesce(sum(p.amount), 0) into its_captured
  from public.payment_attempts a
  join public.entries e on e.site_id = a.site_id and e.cause_id = a.id and e.kind in ('payment.captured', 'refund.owed')
  join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing' and p.unit = o.currency
  where a.site_id = o.site_id and a.order_id = o.id;
  select coalesce(sum(p.amount) filter (where p.account = 'refunds:payable' and e.kind in ('refund.paid', 'refund.bounced')), 0),
         coalesce(sum(p.amount) filter (where p.account = 'sales:returned'), 0)
  into its_refunded, refunding
  from public.refunds r
  join public.entries e on e.site_id = r.site_id and e.cause_id = r.id
  join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.unit = o.currency
  where r.site_id = o.site_id and r.order_id = o.id;
  select coalesce(sum(p.amount), 0) into lost
  from public.disputes d
  join public.entries e on e.site_id = d.site_id and e.cause_id = d.id
  join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'sales:returned' and p.unit = o.currency
  where d.site_id = o.site_id and d.order_id = o.id
    and not exists (select from public.refunds r
                    where r.site_id = d.site_id and r.attempt_id = d.attempt_id and r.origin = 'automatic');
  select its_captured - coalesce(sum(r.amount), 0) into of_sale
  from public.refunds r where r.site_id = o.site_id and r.order_id = o.id and r.origin = 'automatic';
  return (o.captured, o.refunded, o.returned)
    = (its_captured, its_refunded, least(o.total, refunding + least(lost, greatest(of_sale - refunding, 0))));
end $$;

create function app.is_booked(a payment_attempts) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
begin
  return a.received = (
    select coalesce(sum(p.amount), 0) from public.entries e
    join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'provider:clearing' and p.unit = a.currency
    where e.site_id = a.site_id and e.cause_id = a.id);
end $$;

-- Money of the sale is taken from it while the refund counts; the provider has given it away when it is through.
create function app.is_booked(r refunds) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
declare
  of_sale constant boolean := r.reason not in ('paid_too_late', 'paid_twice') and r.state not in ('failed', 'cancelled');
  returned numeric;
  given numeric;
begin
  select coalesce(sum(p.amount) filter (where p.account = 'sales:returned'), 0),
         coalesce(-sum(p.amount) filter (where p.account = 'provider:clearing'), 0)
  into returned, given
  from public.entries e
  join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.unit = r.currency
  where e.site_id = r.site_id and e.cause_id = r.id;
  return returned = case when of_sale then r.amount else 0 end and given = case when r.state = 'succeeded' then r.amount else 0 end;
end $$;

create function app.is_booked(d disputes) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
declare
  taken numeric;
  returned numeric;
begin
  select coalesce(sum(p.amount) filter (where p.account = 'disputes:withdrawn' and e.kind in ('dispute.withdrawn', 'dispute.reinstated')), 0),
         coalesce(sum(p.amount) filter (where p.account = 'sales:returned'), 0)
  into taken, returned
  from public.entries e
  join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.unit = d.currency
  where e.site_id = d.site_id and e.cause_id = d.id;
  return (d.withdrawn, d.lost) = (taken, returned);
end $$;

-- On an agent's accounts, of what one cause posted there.
create function app.booked_for_agent(of_site uuid, of_account text, of_agent uuid, of_unit text, cause uuid) returns numeric
language plpgsql stable set search_path = pg_catalog, public
as $$
begin
  return (
    select coalesce(sum(p.amount), 0) from public.entries e
    join public.postings p on p.site_id = e.site_id and p.entry_id = e.id and p.unit = of_unit
      and p.account = of_account || ':pty_' || replace(of_agent::text, '-', '')
    where e.site_id = of_site and e.cause_id = cause);
end $$;

create function app.is_booked(c commissions) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
begin
  return c.amount = -app.booked_for_agent(c.site_id, 'commission:payable', c.agent_id, c.currency, c.id);
end $$;

-- What was reversed of a commission is the sum of its adjustments (commissions_reversed_adds_up), and each of them is booked.
create function app.is_booked(a commission_adjustments) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
begin
  return a.reversed_after - a.reversed_before = (
    select app.booked_for_agent(c.site_id, 'commission:payable', c.agent_id, c.currency, a.id)
    from public.commissions c where c.site_id = a.site_id and c.id = a.commission_id);
end $$;

-- Under way it is taken from the agent and pending; in the end it is paid, less what came back, or the agent's again.
create function app.is_booked(p payouts) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
declare
  taken constant bigint := case when p.state in ('returned', 'rejected', 'cancelled') then 0 else p.amount - p.reversed end;
  pending constant bigint := case when p.state in ('requested', 'approved', 'sending', 'failed') then p.amount else 0 end;
begin
  return taken = app.booked_for_agent(p.site_id, 'commission:payable', p.agent_id, p.currency, p.id)
    and pending = -app.booked_for_agent(p.site_id, 'payouts:pending', p.agent_id, p.currency, p.id);
end $$;

create function app.is_booked(w write_offs) returns boolean
language plpgsql stable set search_path = pg_catalog, public
as $$
begin
  return w.amount = -app.booked_for_agent(w.site_id, 'commission:payable', w.agent_id, w.currency, w.id);
end $$;

-- At the commit, of the row as it is then.
create function app.check_booked() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  booked boolean;
begin
  case tg_table_name
    when 'orders' then
      select app.is_booked(x) into booked from public.orders x where x.site_id = new.site_id and x.id = new.id;
    when 'refunds' then
      select app.is_booked(x) into booked from public.refunds x where x.site_id = new.site_id and x.id = new.id;
    when 'disputes' then
      select app.is_booked(x) into booked from public.disputes x where x.site_id = new.site_id and x.id = new.id;
    when 'commissions' then
      select app.is_booked(x) into booked from public.commissions x where x.site_id = new.site_id and x.id = new.id;
    when 'commission_adjustments' then
      select app.is_booked(x) into booked from public.commission_adjustments x where x.site_id = new.site_id and x.id = new.id;
    when 'payouts' then
      select app.is_booked(x) into booked from public.payouts x where x.site_id = new.site_id and x.id = new.id;
    when 'write_offs' then
      select app.is_booked(x) into booked from public.write_offs x where x.site_id = new.site_id and x.id = new.id;
  end case;
  if booked is not true then
    raise exception '% % is not what its entries sum to', tg_table_name, new.id
      using errcode = 'check_violation', constraint = tg_table_name || '_booked', table = tg_table_name;
  end if;
  return null;
end $$;

-- Placing an order moves no money: nothing is queued for it.
create constraint trigger booked_when_made after insert on orders deferrable initially deferred
  for each row when (new.captured <> 0 or new.refunded <> 0 or new.returned <> 0) execute function app.check_booked();
create constraint trigger booked after update on orders deferrable initially deferred
  for each row when ((new.captured, new.refunded, new.returned, new.total, new.currency)
    is distinct from (old.captured, old.refunded, old.returned, old.total, old.currency)) execute function app.check_booked();
create constraint trigger booked_when_made after insert on refunds deferrable initially deferred
  for each row execute function app.check_booked();
create constraint trigger booked after update on refunds deferrable initially deferred
  for each row when ((new.state, new.amount, new.currency, new.reason, new.order_id)
    is distinct from (old.state, old.amount, old.currency, old.reason, old.order_id)) execute function app.check_booked();
create constraint trigger booked_when_made after insert on disputes deferrable initially deferred
  for each row when (new.withdrawn <> 0 or new.lost <> 0) execute function app.check_booked();
create constraint trigger booked after update on disputes deferrable initially deferred
  for each row when ((new.withdrawn, new.lost, new.currency, new.order_id)
    is distinct from (old.withdrawn, old.lost, old.currency, old.order_id)) execute function app.check_booked();
create constraint trigger booked_when_made after insert on commissions deferrable initially deferred
  for each row when (new.amount <> 0) execute function app.check_booked();
create constraint trigger booked after update on commissions deferrable initially deferred
  for each row when ((new.amount, new.currency, new.agent_id) is distinct from (old.amount, old.currency, old.agent_id))
  execute function app.check_booked();
create constraint trigger booked_when_made after insert on commission_adjustments deferrable initially deferred
  for each row execute function app.check_booked();
create constraint trigger booked_when_made after insert on payouts deferrable initially deferred
  for each row execute function app.check_booked();
create constraint trigger booked after update on payouts deferrable initially deferred
  for each row when ((new.state, new.reversed) is distinct from (old.state, old.reversed)) execute function app.check_booked();
create constraint trigger booked_when_made after insert on write_offs deferrable initially deferred
  for each row execute function app.check_booked();

revoke all on function app.lock_periods, app.check_period, app.check_booked, app.booked_for_agent,
  app.is_booked(orders), app.is_booked(payment_attempts), app.is_booked(refunds), app.is_booked(disputes),
  app.is_booked(commissions), app.is_booked(commission_adjustments), app.is_booked(payouts), app.is_booked(write_offs) from public;
grant execute on function app.lock_periods, app.booked_for_agent,
  app.is_booked(orders), app.is_booked(payment_attempts), app.is_booked(refunds), app.is_booked(disputes),
  app.is_booked(commissions), app.is_booked(commission_adjustments), app.is_booked(payouts), app.is_booked(write_offs) to posx_app;
