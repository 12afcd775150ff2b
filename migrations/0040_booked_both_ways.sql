-- An entry changes what its cause was booked as, also where nobody writes the cause's row: a second one, under another part, or more
-- postings of an old one. And a refund, a dispute and an attempt are part of their order's sums, also where nobody writes the order.

-- As before, and the order of what is part of one; attempts too.
create or replace function app.check_booked() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  booked boolean;
begin
  case tg_table_name
    when 'orders' then
      select app.is_booked(x) into booked from public.orders x where x.site_id = new.site_id and x.id = new.id;
    when 'payment_attempts' then
      select app.is_booked(x) into booked from public.payment_attempts x where x.site_id = new.site_id and x.id = new.id;
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
    perform app.refuse_unbooked(tg_table_name, new.id);
  end if;
  if tg_table_name in ('payment_attempts', 'refunds', 'disputes') then
    select app.is_booked(x) into booked from public.orders x where x.site_id = new.site_id and x.id = new.order_id;
    if booked is not true then
      perform app.refuse_unbooked('orders', new.order_id);
    end if;
  end if;
  return null;
end $$;

create function app.refuse_unbooked(of_table text, id uuid) returns void
language plpgsql set search_path = pg_catalog
as $$
begin
  raise exception '% % is not what its entries sum to', of_table, id
    using errcode = 'check_violation', constraint = of_table || '_booked', table = of_table;
end $$;

-- An attempt is made before anything is received: nothing is queued for it.
create constraint trigger booked_when_made after insert on payment_attempts deferrable initially deferred
  for each row when (new.received <> 0) execute function app.check_booked();
create constraint trigger booked after update on payment_attempts deferrable initially deferred
  for each row when ((new.received, new.currency, new.order_id) is distinct from (old.received, old.currency, old.order_id))
  execute function app.check_booked();

-- At the commit, of what an entry names as its cause, found by its key. If nobody wrote the row, its sums are off now; if somebody did, the
-- row's own trigger looks at its order as well.
create function app.check_cause_booked() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  entry public.entries;
  wrong text;
begin
  select * into entry from public.entries e
  where e.site_id = new.site_id and e.id = (to_jsonb(new) ->> tg_argv[0])::uuid;
  if entry.kind in ('payment.captured', 'refund.owed') then
    select 'payment_attempts' into wrong from public.payment_attempts a
    where a.site_id = entry.site_id and a.id = entry.cause_id and not app.is_booked(a);
  elsif entry.kind like 'refund.%' then
    select 'refunds' into wrong from public.refunds r
    where r.site_id = entry.site_id and r.id = entry.cause_id and not app.is_booked(r);
  elsif entry.kind like 'dispute.%' then
    select 'disputes' into wrong from public.disputes d
    where d.site_id = entry.site_id and d.id = entry.cause_id and not app.is_booked(d);
  elsif entry.kind = 'commission.accrued' then
    select 'commissions' into wrong from public.commissions c
    where c.site_id = entry.site_id and c.id = entry.cause_id and not app.is_booked(c);
  elsif entry.kind in ('commission.reversed', 'commission.restored') then
    select 'commission_adjustments' into wrong from public.commission_adjustments a
    where a.site_id = entry.site_id and a.id = entry.cause_id and not app.is_booked(a);
  elsif entry.kind = 'commission.written_off' then
    select 'write_offs' into wrong from public.write_offs w
    where w.site_id = entry.site_id and w.id = entry.cause_id and not app.is_booked(w);
  elsif entry.kind like 'payout.%' then
    select 'payouts' into wrong from public.payouts p
    where p.site_id = entry.site_id and p.id = entry.cause_id and not app.is_booked(p);
  end if;
  if wrong is not null then
    perform app.refuse_unbooked(wrong, entry.cause_id);
  end if;
  return null;
end $$;

-- Placing an order posts tokens alone: nothing is queued for it.
create constraint trigger cause_booked after insert on entries deferrable initially deferred
  for each row when (new.kind not like 'tokens.%' and new.kind not like 'provider.%') execute function app.check_cause_booked('id');
-- An entry of money is made with two postings: what comes later has another number.
create constraint trigger cause_booked after insert on postings deferrable initially deferred
  for each row when (new.line > 1 and new.account not like 'tokens:%') execute function app.check_cause_booked('entry_id');

revoke all on function app.refuse_unbooked, app.check_cause_booked from public;
grant execute on function app.refuse_unbooked to posx_app;
