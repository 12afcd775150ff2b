-- What goes back of a sale: refunds by staff, disputes.
alter table orders
  add column returned bigint not null default 0 check (returned >= 0);

alter table refunds
  -- Who wanted it: POSX by itself, staff, or somebody at the provider's own dashboard.
  add column origin text not null default 'automatic' check (origin in ('automatic', 'staff', 'provider')),
  add column note text check (length(note) between 1 and 500),
  -- What becomes of the tokens that are not delivered: for sale again, or not.
  add column restock text not null default 'none' check (restock in ('undelivered', 'none'));
alter table refunds drop constraint refunds_state_check;
alter table refunds add constraint refunds_state_check
  check (state in ('pending', 'requires_action', 'succeeded', 'failed', 'cancelled'));
-- One automatic refund for one reason, as before; of the others there may be any number.
alter table refunds drop constraint refunds_once;
alter table refunds
  add column once text generated always as (case when origin = 'automatic' then reason end) stored,
  add constraint refunds_once unique (site_id, attempt_id, once),
  add constraint refunds_provider_key unique (site_id, provider_refund_id);
drop index refunds_pending_idx;
create index refunds_open_idx on refunds (site_id, updated_at) where state in ('pending', 'requires_action');

create table disputes (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  order_id uuid not null,
  attempt_id uuid not null,
  provider text not null,
  provider_dispute_id text not null,
  currency text not null,
  -- What is disputed: may be less or more than was paid.
  amount bigint not null check (amount >= 0),
  -- The provider's word: fraudulent, product_not_received, …
  reason text not null check (length(reason) between 1 and 100),
  state text not null check (state in ('open', 'won', 'lost', 'withdrawn')),
  provider_state text not null check (provider_state in ('warning_needs_response', 'warning_under_review', 'warning_closed',
    'needs_response', 'under_review', 'won', 'lost', 'prevented')),
  -- Whether the provider would still take a refund instead.
  refundable boolean not null,
  evidence_due_by timestamptz,
  -- The last alarm that was given: so many hours before evidence is due.
  evidence_alarm_hours smallint check (evidence_alarm_hours in (24, 72)),
  -- Taken away by the provider and not given back, as it is booked.
  withdrawn bigint not null default 0,
  -- Booked as lost, in so many entries.
  lost bigint not null default 0 check (lost >= 0),
  verdicts integer not null default 0 check (verdicts >= 0),
  -- Grows with each word of the provider that was applied: an older word is then not applied any more.
  revision integer not null check (revision >= 1),
  opened_at timestamptz not null,
  closed_at timestamptz,
  -- When the provider was last asked.
  asked_at timestamptz not null,
  primary key (site_id, id),
  constraint disputes_provider_key unique (site_id, provider, provider_dispute_id),
  constraint disputes_closed_has_a_time check ((state = 'open') = (closed_at is null)),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, attempt_id) references payment_attempts (site_id, id)
);
create index disputes_order_idx on disputes (site_id, order_id);
create index disputes_open_idx on disputes (site_id, asked_at) where state = 'open';
call app.isolate('disputes', 'select, insert, update');

-- No more goes back than came in, however many ask at once: the order's row is locked before its refunds are added up. What
-- staff may give back is also less by what disputes took; what the provider did by itself is a fact and is recorded.
create function app.refunds_stay_within_capture() returns trigger
language plpgsql set search_path = pg_catalog
as $$
declare
  captured bigint;
  given bigint;
  taken bigint := 0;
begin
  if new.state in ('failed', 'cancelled') then
    return new;
  end if;
  select o.captured into captured from public.orders o
  where o.site_id = new.site_id and o.id = new.order_id for update;
  select coalesce(sum(r.amount), 0) into given from public.refunds r
  where r.site_id = new.site_id and r.order_id = new.order_id and r.id <> new.id and r.state not in ('failed', 'cancelled');
  if tg_op = 'INSERT' and new.origin = 'staff' then
    select coalesce(sum(greatest(d.withdrawn, 0)), 0) into taken from public.disputes d
    where d.site_id = new.site_id and d.order_id = new.order_id;
  end if;
  if given + new.amount + taken > captured then
    raise exception 'refunds exceed what was captured' using errcode = 'check_violation', constraint = 'refunds_within_capture';
  end if;
  return new;
end $$;
revoke all on function app.refunds_stay_within_capture from public;
create trigger within_capture before insert or update of state, amount on refunds
  for each row execute function app.refunds_stay_within_capture();

-- A refund that waits for its buyer, and an open dispute, keep a person's data as a pending refund does.
alter function app.open_business(uuid) rename to open_business_beside_returns;
create function app.open_business(of_party uuid) returns text[]
language sql stable set search_path = pg_catalog, public
as $$
  select array_remove(array[
    case when exists (select from public.refunds r join public.orders o on o.site_id = r.site_id and o.id = r.order_id
                      where o.buyer_id = of_party and r.state in ('pending', 'requires_action')) then 'refunds' end,
    case when exists (select from public.disputes d join public.orders o on o.site_id = d.site_id and o.id = d.order_id
                      where o.buyer_id = of_party and d.state = 'open') then 'disputes' end
  ], null) || array_remove(app.open_business_beside_returns(of_party), 'refunds')
$$;
revoke all on function app.open_business from public;
grant execute on function app.open_business to posx_app;
