-- What calls of language models may cost, what they cost, and who asked. Amounts are millionths of the price book's currency.

-- The price book as it was used: a version is never edited, and a process whose settings say otherwise does not start.
create table model_prices (
  version integer not null check (version >= 1),
  provider text not null check (length(provider) between 1 and 100),
  model text not null check (length(model) between 1 and 200),
  valid_from timestamptz not null,
  tiers jsonb not null check (jsonb_typeof(tiers) = 'array'),
  recorded_at timestamptz not null,
  primary key (version, provider, model)
);
create trigger never_changed before update or delete on model_prices for each row execute function app.refuse_change();

-- Records what is new of a book, and says which of its prices were recorded otherwise.
create function app.record_model_prices(book jsonb, at timestamptz) returns setof text
language sql security definer set search_path = pg_catalog, public
as $$
  with said as (
    select p.* from jsonb_to_recordset(book)
      as p (version integer, provider text, model text, valid_from timestamptz, tiers jsonb)),
  recorded as (
    insert into public.model_prices (version, provider, model, valid_from, tiers, recorded_at)
    select s.version, s.provider, s.model, s.valid_from, s.tiers, at from said s
    on conflict (version, provider, model) do nothing)
  select format('%s/%s in version %s', s.provider, s.model, s.version)
  from said s join public.model_prices p using (version, provider, model)
  where p.valid_from <> s.valid_from or p.tiers <> s.tiers
$$;
revoke all on function app.record_model_prices from public;
grant execute on function app.record_model_prices to posx_jobs;

-- The limits that a site has set, one row: what is not in it is the operator's default.
create table model_budgets (
  site_id uuid not null default app.current_site_id() references sites (id),
  limits jsonb not null check (jsonb_typeof(limits) = 'array'),
  -- Before anything is set, it is 1.
  version integer not null check (version >= 2),
  updated_at timestamptz not null,
  primary key (site_id)
);
call app.isolate('model_budgets', 'select, insert, update');

-- The guarded counters, one for each budget and period that a call fell under.
create table model_counters (
  site_id uuid not null default app.current_site_id() references sites (id),
  scope text not null check (scope in ('site', 'purpose', 'member', 'visitor', 'visitors')),
  -- Whose within the scope: a purpose, a member's or a visitor's id; empty for the site and for all visitors.
  subject text not null,
  period text not null check (period in ('day', 'month')),
  -- Of the site's calendar.
  starts_on date not null,
  -- As it was when a call was held last.
  limit_micros bigint not null check (limit_micros >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  spent bigint not null default 0 check (spent >= 0),
  -- The call that brought it to four fifths of the limit.
  warned_by uuid,
  primary key (site_id, scope, subject, period, starts_on)
) with (fillfactor = 50);
call app.isolate('model_counters', 'select, insert, update');

-- What a site may spend beyond its month's limit.
create table model_credits (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  kind text not null check (kind in ('grant', 'top_up')),
  amount bigint not null check (amount > 0),
  reserved bigint not null default 0 check (reserved >= 0),
  spent bigint not null default 0 check (spent >= 0),
  note text check (length(note) between 1 and 200),
  -- Exclusive.
  expires_at timestamptz,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint model_credits_never_overdrawn check (reserved <= amount - spent),
  constraint model_credits_expiry check (expires_at > created_at)
);
call app.isolate('model_credits', 'select, insert, update');

-- The usage log: one row for each call, made when it is reserved and closed when it has ended. Of calls that a budget refused
-- and that were not asked here one by one, one row says how many there were.
create table model_calls (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  purpose text not null check (purpose in ('staff_chat', 'storefront_chat', 'documents')),
  member_id uuid references identities (id),
  -- A visitor's rows do not outlive the visit for long, this one does.
  visitor_id uuid,
  provider text not null check (length(provider) between 1 and 100),
  model text not null check (length(model) between 1 and 200),
  price_version integer not null,
  worst_case bigint not null check (worst_case >= 0),
  -- Of the worst case: held on the site's month. The rest is held on credits.
  month_held bigint not null check (month_held between 0 and worst_case),
  state text not null check (state in ('held', 'spent', 'released', 'expired', 'refused')),
  -- Of the site's calendar, when the call was made: its counters are those of this day, however late it ends.
  day date not null,
  made_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  input_tokens bigint check (input_tokens >= 0),
  cached_input_tokens bigint check (cached_input_tokens >= 0),
  output_tokens bigint check (output_tokens >= 0),
  reasoning_tokens bigint check (reasoning_tokens >= 0),
  by_provider boolean,
  cost bigint check (cost between 0 and worst_case),
  latency_ms bigint check (latency_ms >= 0),
  outcome text check (length(outcome) between 1 and 100),
  tries integer check (tries >= 0),
  refused_scope text check (refused_scope in ('site', 'purpose', 'member', 'visitor', 'visitors')),
  refused_period text check (refused_period in ('day', 'month')),
  refused_times bigint not null default 0 check (refused_times >= 0),
  primary key (site_id, id),
  constraint model_calls_one_asker check (num_nonnulls(member_id, visitor_id) = 1),
  constraint model_calls_settled_whole check (
    num_nulls(cost, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, by_provider, latency_ms, tries) in (0, 8)),
  constraint model_calls_what_cost_was_settled check (
    case state when 'spent' then cost is not null when 'expired' then true else cost is null end),
  constraint model_calls_refused_by_a_budget check (
    (state = 'refused') = (refused_scope is not null) and (state = 'refused') = (refused_period is not null)
    and (state = 'refused') = (refused_times > 0)),
  constraint model_calls_ended check ((state = 'held') = (ended_at is null))
);
create index model_calls_held_idx on model_calls (site_id, expires_at) where state = 'held';
create index model_calls_day_idx on model_calls (site_id, day, id);
create index model_calls_member_idx on model_calls (site_id, member_id) where member_id is not null;
call app.isolate('model_calls', 'select, insert, update');

-- What a call holds, or has taken, of credits.
create table model_credit_holds (
  site_id uuid not null default app.current_site_id() references sites (id),
  call_id uuid not null,
  credit_id uuid not null,
  held bigint not null check (held > 0),
  -- Null while it is held.
  paid bigint check (paid between 0 and held),
  primary key (site_id, call_id, credit_id),
  foreign key (site_id, call_id) references model_calls (site_id, id),
  foreign key (site_id, credit_id) references model_credits (site_id, id)
);
create index model_credit_holds_credit_idx on model_credit_holds (site_id, credit_id);
call app.isolate('model_credit_holds', 'select, insert, update');

-- The usage log and the counters of a site that are older than `before`; of calls under way nothing.
create function app.purge_model_calls(before date) returns bigint
language sql security definer set search_path = pg_catalog, public
as $$
  with old as (
    select c.id from public.model_calls c
    where c.site_id = app.current_site_id() and c.day < before and c.state <> 'held' order by c.day limit 10000),
  holds as (
    delete from public.model_credit_holds h using old
    where h.site_id = app.current_site_id() and h.call_id = old.id),
  -- A month's counter is of its first day.
  counters as (
    delete from public.model_counters c where c.site_id = app.current_site_id() and c.starts_on < before - 31 and c.reserved = 0),
  calls as (
    delete from public.model_calls c using old where c.site_id = app.current_site_id() and c.id = old.id returning 1)
  select count(*) from calls
$$;
revoke all on function app.purge_model_calls from public;
grant execute on function app.purge_model_calls to posx_app;
