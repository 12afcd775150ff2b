-- Runs that compared the books of a day with a provider's own account.
create table reconciliations (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  provider text not null check (provider in ('stripe', 'fireblocks')),
  -- By the site's time zone, as it was then.
  day date not null,
  reconciled_at timestamptz not null,
  lines bigint not null check (lines >= 0),
  entries bigint not null check (entries >= 0),
  matched bigint not null check (matched >= 0),
  -- Fees and payouts to the bank that this run booked.
  booked bigint not null check (booked >= 0),
  explained bigint not null check (explained >= 0),
  unexplained bigint not null check (unexplained >= 0),
  primary key (site_id, id)
);
create index reconciliations_day_idx on reconciliations (site_id, provider, day desc);
call app.isolate('reconciliations', 'select, insert');
create trigger never_changed before update or delete on reconciliations
  for each row execute function app.refuse_change();

-- What a run could not match, as it was seen then: a line of the provider, an entry, or two that differ.
create table reconciliation_differences (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  reconciliation_id uuid not null,
  reason text not null check (reason in ('missing_here', 'missing_there', 'amount_differs', 'twice', 'other_day',
    'on_its_way', 'came_to_nothing')),
  line_id text,
  line_movement text,
  line_reference text,
  line_unit text,
  -- What arrives is positive.
  line_amount numeric(39, 0),
  line_at timestamptz,
  entry_id uuid,
  entry_kind text,
  entry_reference text,
  entry_unit text,
  entry_amount numeric(39, 0),
  entry_at timestamptz,
  primary key (site_id, id),
  constraint reconciliation_differences_of_something check (line_id is not null or entry_id is not null),
  constraint reconciliation_differences_line_whole check (
    num_nonnulls(line_id, line_movement, line_reference, line_unit, line_amount, line_at) in (0, 6)),
  constraint reconciliation_differences_entry_whole check (
    num_nonnulls(entry_id, entry_kind, entry_unit, entry_amount, entry_at) in (0, 5)),
  foreign key (site_id, reconciliation_id) references reconciliations (site_id, id),
  foreign key (site_id, entry_id) references entries (site_id, id)
);
create index reconciliation_differences_run_idx on reconciliation_differences (site_id, reconciliation_id, id desc);
call app.isolate('reconciliation_differences', 'select, insert');
create trigger never_changed before update or delete on reconciliation_differences
  for each row execute function app.refuse_change();
