-- Agents: profiles, the tree, figures, statements.

-- A party that brings others. The row comes with the first one that it brought, or when staff writes it; before that the
-- party is an agent that nobody wrote about.
create table agents (
  site_id uuid not null default app.current_site_id() references sites (id),
  party_id uuid not null,
  -- Personal data: it goes when the party is erased.
  display_name text constraint agents_display_name check (length(display_name) between 1 and 200),
  version integer not null check (version > 0),
  joined_at timestamptz not null,
  primary key (site_id, party_id),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('agents', 'select, insert, update');

-- When an agent was suspended: an order that was paid in such a time earns them nothing, whenever it is counted.
create table agent_suspensions (
  site_id uuid not null default app.current_site_id() references sites (id),
  agent_id uuid not null,
  since timestamptz not null,
  until timestamptz,
  primary key (site_id, agent_id, since),
  constraint agent_suspensions_last check (until > since),
  foreign key (site_id, agent_id) references agents (site_id, party_id)
);
create unique index agent_suspensions_one_open on agent_suspensions (site_id, agent_id) where until is null;
call app.isolate('agent_suspensions', 'select, insert, update');

-- Who stands above whom, at every distance, and when: one row for each pair while no edge between them changes. `until` is
-- null for what holds now. A referral begins it; staff who place a party elsewhere end the paths that are cut and begin
-- others, so that what was paid before is still counted by the tree of its time.
create table referral_paths (
  site_id uuid not null default app.current_site_id() references sites (id),
  ancestor_id uuid not null,
  descendant_id uuid not null,
  depth integer not null check (depth > 0),
  since timestamptz not null,
  until timestamptz,
  primary key (site_id, descendant_id, ancestor_id, since),
  -- A cycle would put somebody above themselves.
  constraint referral_paths_no_cycle check (ancestor_id <> descendant_id),
  constraint referral_paths_last check (until > since),
  foreign key (site_id, ancestor_id) references parties (site_id, id),
  foreign key (site_id, descendant_id) references parties (site_id, id)
);
-- One parent, one grandparent, …
create unique index referral_paths_one_above on referral_paths (site_id, descendant_id, depth) where until is null;
create index referral_paths_below_idx on referral_paths (site_id, ancestor_id, depth, descendant_id);
create index referral_paths_since_idx on referral_paths (site_id, since) where depth = 1;
call app.isolate('referral_paths', 'select, insert, update');

-- A period that holds may end; nothing else of it changes.
create function app.only_ends() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if old.until is not null or new.until is null
     or to_jsonb(new) - 'until' is distinct from to_jsonb(old) - 'until' then
    raise exception 'a period of % only ends, and once', tg_table_name using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger only_ends before update on referral_paths for each row execute function app.only_ends();
create trigger only_ends before update on agent_suspensions for each row execute function app.only_ends();

-- What is there already.
do $$
declare
  site record;
begin
  for site in select s.id from public.sites s loop
    perform set_config('app.current_site_id', site.id::text, true);
    insert into public.agents (site_id, party_id, version, joined_at)
    select r.site_id, r.referrer_id, 1, min(r.bound_at) from public.referrals r where r.site_id = site.id group by 1, 2;
    with recursive up (descendant, ancestor, depth, since) as (
      select r.party_id, r.referrer_id, 1, r.bound_at from public.referrals r where r.site_id = site.id
      union all
      select up.descendant, r.referrer_id, up.depth + 1, greatest(up.since, r.bound_at)
      from up join public.referrals r on r.site_id = site.id and r.party_id = up.ancestor)
    insert into public.referral_paths (site_id, ancestor_id, descendant_id, depth, since)
    select site.id, ancestor, descendant, depth, since from up;
  end loop;
  perform set_config('app.current_site_id', '', true);
end $$;

-- The tree of a site changes by one edge at a time: two that would close a cycle together, or give a party two parents,
-- must not pass each other.
create function app.lock_tree(of_site uuid) returns void
language sql set search_path = pg_catalog
as $$ select pg_advisory_xact_lock(hashtextextended('referrals:' || of_site::text, 0)) $$;

create or replace function app.refuse_referral_cycle() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  perform app.lock_tree(new.site_id);
  if exists (select from public.referral_paths p
             where p.site_id = new.site_id and p.ancestor_id = new.party_id and p.descendant_id = new.referrer_id
               and p.until is null) then
    raise exception 'the referral would close a cycle'
      using errcode = 'check_violation', constraint = 'referrals_no_cycle', table = 'referrals';
  end if;
  return new;
end $$;

-- Everyone at and above the parent stands above everyone at and below the child from now on. The caller holds the lock.
create function app.join_paths(of_site uuid, child uuid, parent uuid, at timestamptz) returns void
language sql set search_path = pg_catalog, public
as $$
  insert into public.referral_paths (site_id, ancestor_id, descendant_id, depth, since)
  select of_site, above.id, below.id, above.depth + 1 + below.depth, greatest(above.since, at, below.since)
  from (select parent as id, 0 as depth, at as since
        union all
        select p.ancestor_id, p.depth, p.since from public.referral_paths p
        where p.site_id = of_site and p.descendant_id = parent and p.until is null) as above,
       (select child as id, 0 as depth, at as since
        union all
        select p.descendant_id, p.depth, p.since from public.referral_paths p
        where p.site_id = of_site and p.ancestor_id = child and p.until is null) as below
$$;

create function app.grow_tree() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  perform app.join_paths(new.site_id, new.party_id, new.referrer_id, new.bound_at);
  insert into public.agents (site_id, party_id, version, joined_at)
  values (new.site_id, new.referrer_id, 1, new.bound_at) on conflict do nothing;
  return null;
end $$;
create trigger grows_tree after insert on referrals for each row execute function app.grow_tree();

-- Who is erased has no name.
create function app.forget_agent() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  update public.agents a set display_name = null, version = a.version + 1
  where a.site_id = new.site_id and a.party_id = new.id and a.display_name is not null;
  return null;
end $$;
create trigger forgets_agent after update of erased_at on parties
  for each row when (new.erased_at is not null) execute function app.forget_agent();

-- One month of one agent's account, in the site's time zone of that month. Its lines are the account's postings of that
-- time, which nobody changes: they are not stored again.
create table agent_statements (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  agent_id uuid not null,
  account text not null,
  currency text not null,
  number integer not null check (number > 0),
  -- The number before it; null for the first.
  previous integer,
  month text not null check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  time_zone text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  -- What the site owes the agent; less than zero is what the agent owes.
  opening bigint not null,
  credits bigint not null check (credits >= 0),
  debits bigint not null check (debits >= 0),
  closing bigint not null,
  lines integer not null check (lines >= 0),
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint agent_statements_last check (from_at < to_at),
  constraint agent_statements_previous check (previous is not distinct from nullif(number - 1, 0)),
  constraint agent_statements_add_up check (closing = opening + credits - debits),
  constraint agent_statements_first_opens_empty check (number > 1 or opening = 0),
  constraint agent_statements_account check (account = 'commission:payable:pty_' || replace(agent_id::text, '-', '')),
  constraint agent_statements_once unique (site_id, account, currency, month),
  constraint agent_statements_chain unique (site_id, account, currency, number, closing, to_at),
  -- The next opens with what the last closed with, when the last closed.
  constraint agent_statements_open_where_the_last_closed foreign key (site_id, account, currency, previous, opening, from_at)
    references agent_statements (site_id, account, currency, number, closing, to_at),
  foreign key (site_id, account, currency) references accounts (site_id, code, unit),
  foreign key (site_id, agent_id) references parties (site_id, id)
);
create unique index agent_statements_number on agent_statements (site_id, account, currency, number);
create index agent_statements_agent_idx on agent_statements (site_id, agent_id, id desc);
create index agent_statements_month_idx on agent_statements (site_id, month);
call app.isolate('agent_statements', 'select, insert');
create trigger never_changed before update or delete on agent_statements
  for each row execute function app.refuse_change();

create index accounts_party_idx on accounts (site_id, party_id, unit) where party_id is not null;

-- Whoever posts to an account holds its row by the foreign key until the end, so this waits for all who are under way, and
-- whoever comes later waits for the statement and then meets `refuse_stated_time`.
create function app.lock_payables(codes text[]) returns void
language sql security definer set search_path = pg_catalog, public
as $$
  select from public.accounts a
  where a.site_id = app.current_site_id() and a.code = any (codes) and a.code like 'commission:payable:%'
  order by a.code, a.unit for update
$$;

-- What is posted to an agent's account after a statement was made is dated after its end: the use case is tried again, with
-- the time as it is then. The name sorts after those of the foreign keys, which wait for the statement to be committed.
create function app.refuse_stated_time() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  if (select s.to_at from public.agent_statements s
      where s.site_id = new.site_id and s.account = new.account and s.currency = new.unit
      order by s.number desc limit 1)
     > (select e.posted_at from public.entries e where e.site_id = new.site_id and e.id = new.entry_id) then
    raise exception 'there is a statement of % up to a later time', new.account using errcode = 'serialization_failure';
  end if;
  return null;
end $$;
create trigger stated_time after insert on postings
  for each row when (new.account like 'commission:payable:%') execute function app.refuse_stated_time();

revoke all on function app.only_ends, app.lock_tree, app.join_paths, app.grow_tree, app.forget_agent, app.lock_payables,
  app.refuse_stated_time from public;
grant execute on function app.lock_tree, app.join_paths, app.lock_payables to posx_app;
