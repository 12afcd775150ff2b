-- Double entry. A unit is a currency code ('USD') or a chain asset ('asset:<uuid>'); every entry sums to zero per unit.
create table accounts (
  site_id uuid not null default app.current_site_id() references sites (id),
  code text not null check (code ~ '^[a-z_]+(:[a-z0-9_-]+)*$'),
  unit text not null,
  class text not null check (class in ('asset', 'liability', 'income', 'expense', 'tokens')),
  party_id uuid,
  primary key (site_id, code, unit),
  foreign key (site_id, party_id) references parties (site_id, id)
);
call app.isolate('accounts', 'select, insert');

create table entries (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  kind text not null,
  -- What caused it: an order, an allocation, a tier. One entry of a kind per cause and discriminator: posting the same
  -- fact again is refused by the key.
  cause_id uuid not null,
  cause_part text not null default '',
  memo text not null default '',
  posted_at timestamptz not null,
  primary key (site_id, id),
  constraint entries_once unique (site_id, kind, cause_id, cause_part)
);
create index entries_cause_idx on entries (site_id, cause_id);
call app.isolate('entries', 'select, insert');

create table postings (
  site_id uuid not null default app.current_site_id() references sites (id),
  entry_id uuid not null,
  line smallint not null check (line >= 0),
  account text not null,
  unit text not null,
  -- Debit positive, credit negative; minor units of a currency, base units of a token.
  amount numeric(39, 0) not null check (amount <> 0),
  primary key (site_id, entry_id, line),
  foreign key (site_id, entry_id) references entries (site_id, id),
  foreign key (site_id, account, unit) references accounts (site_id, code, unit)
);
create index postings_account_idx on postings (site_id, account, unit, entry_id);
call app.isolate('postings', 'select, insert');

create trigger never_changed before update or delete on accounts for each row execute function app.refuse_change();
create trigger never_changed before update or delete on entries for each row execute function app.refuse_change();
create trigger never_changed before update or delete on postings for each row execute function app.refuse_change();

-- Checked at commit: for each entry, and for any posting that is added to an older one (its line is not the first).
create function app.check_entry_balance() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  entry uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
begin
  if not exists (select from public.postings p where p.site_id = new.site_id and p.entry_id = entry and p.line = 0)
     or exists (select from public.postings p where p.site_id = new.site_id and p.entry_id = entry
                group by p.unit having sum(p.amount) <> 0) then
    raise exception 'entry % does not balance', entry
      using errcode = 'check_violation', constraint = 'entries_balance', table = 'entries';
  end if;
  return null;
end $$;
revoke all on function app.check_entry_balance from public;
create constraint trigger balances after insert on entries deferrable initially deferred
  for each row execute function app.check_entry_balance('id');
create constraint trigger balances after insert on postings deferrable initially deferred
  for each row when (new.line > 0) execute function app.check_entry_balance('entry_id');
