-- Custody runs: a batch is a draft first; two people agree to its hash; it is sent, paused, ended, and reported.

alter table allocation_batches
  add column state text not null default 'draft' check (state in
    ('draft', 'approved', 'sending', 'paused', 'done', 'partly_failed', 'discarded')),
  -- SHA-256 of the lines that are to be sent: what two people agree to. Any change of a line changes it.
  add column lines_hash bytea not null default '\x0000000000000000000000000000000000000000000000000000000000000000'
    check (octet_length(lines_hash) = 32),
  add column paused_because text check (paused_because in ('by_person', 'repeated_failures', 'changed')),
  -- Lines that failed one after the other, up to now.
  add column failures_in_row smallint not null default 0 check (failures_in_row >= 0),
  add column updated_at timestamptz,
  add constraint allocation_batches_paused_why check ((state = 'paused') = (paused_because is not null)),
  -- For the approvals, which name the maker.
  add constraint allocation_batches_maker_key unique (site_id, id, created_by);
create index allocation_batches_open_idx on allocation_batches (site_id, id) where state in ('approved', 'sending');
grant update on allocation_batches to posx_app;

-- What was to be sent for one allocation, as two people agreed to it, and what became of it in this batch: an allocation that
-- is tried again leaves its batch, and the line says what had been.
create table allocation_batch_lines (
  site_id uuid not null default app.current_site_id() references sites (id),
  batch_id uuid not null,
  allocation_id uuid not null,
  position smallint not null check (position between 0 and 99),
  -- Base units.
  amount numeric(39, 0) not null check (amount > 0),
  address text not null,
  asset_id uuid not null,
  -- Asset and vault at the custodian.
  provider_asset text not null,
  vault text not null,
  decimals smallint not null,
  -- The wallet that the buyer had bound on the chain's family when the batch was made; null: none.
  bound_wallet text,
  -- Why it is not sent with this batch.
  left_out text check (left_out in ('order_disputed', 'order_returned', 'wallet_cooling_off', 'wallet_changed', 'changed',
    'given_up')),
  state text not null default 'queued' check (state in ('queued', 'unknown', 'submitted', 'confirming', 'done', 'failed')),
  external_id text,
  provider_id text,
  tx_hash text,
  confirmations integer not null default 0,
  reason text,
  needs_person boolean not null default false,
  updated_at timestamptz not null,
  primary key (site_id, batch_id, allocation_id),
  constraint allocation_batch_lines_position_key unique (site_id, batch_id, position),
  constraint allocation_batch_lines_external_id_key unique (site_id, external_id),
  constraint allocation_batch_lines_left_out_is_not_sent check (left_out is null or state = 'queued'),
  constraint allocation_batch_lines_sent_has_external_id check (state = 'queued' or external_id is not null),
  foreign key (site_id, batch_id) references allocation_batches (site_id, id),
  foreign key (site_id, allocation_id) references allocations (site_id, id),
  foreign key (site_id, asset_id) references chain_assets (site_id, id)
);
create index allocation_batch_lines_allocation_idx on allocation_batch_lines (site_id, allocation_id);
call app.isolate('allocation_batch_lines', 'select, insert, update');

-- What was agreed to does not change; what became of it does, and a line that is left out stays out.
create function app.batch_line_terms_never_change() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.batch_id, new.allocation_id, new.position, new.amount, new.address, new.asset_id, new.provider_asset, new.vault,
      new.decimals, new.bound_wallet)
     is distinct from
     (old.batch_id, old.allocation_id, old.position, old.amount, old.address, old.asset_id, old.provider_asset, old.vault,
      old.decimals, old.bound_wallet)
     or (old.left_out is not null and new.left_out is distinct from old.left_out) then
    raise exception 'a line of a batch is never edited' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
revoke all on function app.batch_line_terms_never_change from public;
create trigger terms_never_change before update on allocation_batch_lines
  for each row execute function app.batch_line_terms_never_change();

-- Who agreed, to which hash. One that is not the batch's hash any more counts for nothing.
create table allocation_batch_approvals (
  site_id uuid not null default app.current_site_id() references sites (id),
  batch_id uuid not null,
  lines_hash bytea not null check (octet_length(lines_hash) = 32),
  approver_id uuid not null,
  maker_id uuid not null,
  number smallint not null check (number in (1, 2)),
  approved_at timestamptz not null,
  primary key (site_id, batch_id, lines_hash, number),
  -- Two people, and neither is the maker.
  constraint allocation_batch_approvals_two_people unique (site_id, batch_id, lines_hash, approver_id),
  constraint allocation_batch_approvals_not_the_maker check (approver_id <> maker_id),
  foreign key (site_id, batch_id, maker_id) references allocation_batches (site_id, id, created_by),
  foreign key (approver_id) references identities (id)
);
call app.isolate('allocation_batch_approvals', 'select, insert');
create trigger never_changed before update or delete on allocation_batch_approvals
  for each row execute function app.refuse_change();

-- Of what was made before there were lines: what is under way goes on, and what waits goes back, to be agreed to anew.
do $$
declare
  site record;
begin
  for site in select s.id from public.sites s loop
    perform set_config('app.current_site_id', site.id::text, true);
    update public.allocations set state = 'pending', batch_id = null where site_id = site.id and state = 'queued';
    insert into public.allocation_batch_lines
      (site_id, batch_id, allocation_id, position, amount, address, asset_id, provider_asset, vault, decimals, state,
       external_id, provider_id, tx_hash, confirmations, reason, needs_person, updated_at)
    select a.site_id, a.batch_id, a.id, row_number() over (partition by a.batch_id order by a.id) - 1, a.amount - a.cut, a.address,
           a.asset_id, c.provider_asset, c.vault, c.decimals, a.state, a.external_id, a.provider_id, a.tx_hash, a.confirmations,
           a.reason, a.needs_person, a.updated_at
    from public.allocations a join public.chain_assets c on c.site_id = a.site_id and c.id = a.asset_id
    where a.site_id = site.id and a.batch_id is not null
      and a.state in ('unknown', 'submitted', 'confirming', 'done', 'failed');
    update public.allocation_batches b set updated_at = b.created_at, state = case
        when l.lines is null then 'discarded' when l.open > 0 then 'paused' when l.failed > 0 then 'partly_failed' else 'done' end,
      paused_because = case when l.open > 0 then 'changed' end
    from public.allocation_batches same left join (
      select batch_id, count(*) as lines, count(*) filter (where state in ('unknown', 'submitted', 'confirming')) as open,
             count(*) filter (where state = 'failed') as failed
      from public.allocation_batch_lines where site_id = site.id group by batch_id) l on l.batch_id = same.id
    where same.site_id = site.id and b.site_id = same.site_id and b.id = same.id;
  end loop;
  perform set_config('app.current_site_id', '', true);
end $$;
alter table allocation_batches
  alter column updated_at set not null,
  alter column state drop default,
  alter column lines_hash drop default;

-- One transaction of a vault is on its way to its chain at a time, whatever asks for the next (F17). While two of one vault are
-- on their way from before, this fails and nothing is migrated: it goes through once one of them has arrived.
create unique index allocation_batch_lines_one_in_flight on allocation_batch_lines (site_id, vault)
  where state in ('unknown', 'submitted');

-- Nothing is approved or sent that two people did not agree to as it is.
create function app.batch_needs_two_approvals() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if new.state in ('approved', 'sending')
     and (new.state, new.lines_hash) is distinct from (old.state, old.lines_hash)
     and 2 > (select count(*) from public.allocation_batch_approvals a
              where a.site_id = new.site_id and a.batch_id = new.id and a.lines_hash = new.lines_hash) then
    raise exception 'a batch needs two approvals of its hash'
      using errcode = 'check_violation', constraint = 'allocation_batches_two_approvals', table = 'allocation_batches';
  end if;
  return new;
end $$;
revoke all on function app.batch_needs_two_approvals from public;
create trigger two_approvals before update on allocation_batches
  for each row execute function app.batch_needs_two_approvals();

-- An allocation is first sent within a batch that is being sent, by a line that is not left out.
create function app.allocation_is_sent_in_its_batch() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if not exists (select from public.allocation_batches b
                 join public.allocation_batch_lines l on l.site_id = b.site_id and l.batch_id = b.id
                 where b.site_id = new.site_id and b.id = new.batch_id and b.state = 'sending'
                   and l.allocation_id = new.id and l.left_out is null) then
    raise exception 'an allocation is sent in a batch that is being sent'
      using errcode = 'check_violation', constraint = 'allocations_sent_in_their_batch', table = 'allocations';
  end if;
  return new;
end $$;
revoke all on function app.allocation_is_sent_in_its_batch from public;
create trigger sent_in_its_batch before update of state on allocations
  for each row when (old.state = 'queued' and new.state = 'unknown') execute function app.allocation_is_sent_in_its_batch();
