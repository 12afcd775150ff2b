-- What two people agreed to is sent by them, soon, and by nobody else: whoever writes.

alter table allocation_batches
  drop constraint allocation_batches_paused_because_check,
  add constraint allocation_batches_paused_because_check
    check (paused_because in ('by_person', 'repeated_failures', 'changed', 'approvals_lapsed'));

-- An approval counts for 24 hours; after that the same person may give another.
alter table allocation_batch_approvals
  drop constraint allocation_batch_approvals_number_check,
  add constraint allocation_batch_approvals_number_check check (number > 0),
  drop constraint allocation_batch_approvals_two_people;

create function app.batch_is_approved_once_a_day() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if exists (select from public.allocation_batch_approvals a
             where a.site_id = new.site_id and a.batch_id = new.batch_id and a.lines_hash = new.lines_hash
               and a.approver_id = new.approver_id and a.number <> new.number
               and a.approved_at > new.approved_at - interval '24 hours') then
    raise exception 'a batch is approved by two people'
      using errcode = 'unique_violation', constraint = 'allocation_batch_approvals_two_people',
        table = 'allocation_batch_approvals';
  end if;
  return null;
end $$;
revoke all on function app.batch_is_approved_once_a_day from public;
create trigger once_a_day after insert on allocation_batch_approvals
  for each row execute function app.batch_is_approved_once_a_day();

-- Begun as a draft; of one maker; approved and sent by two others who are members now and agreed within 24 hours. What their
-- roles may, the roles' table in the code says.
create or replace function app.batch_needs_two_approvals() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.id, new.created_by, new.size, new.created_at) is distinct from (old.id, old.created_by, old.size, old.created_at) then
    raise exception 'a batch stays whose it is and what it was made of' using errcode = 'restrict_violation';
  end if;
  if new.state in ('approved', 'sending')
     and (new.state, new.lines_hash) is distinct from (old.state, old.lines_hash)
     and 2 > (select count(distinct a.approver_id) from public.allocation_batch_approvals a
              join public.memberships m on m.site_id = a.site_id and m.identity_id = a.approver_id and m.state = 'active'
              where a.site_id = new.site_id and a.batch_id = new.id and a.lines_hash = new.lines_hash
                and a.approver_id <> new.created_by and a.approved_at > new.updated_at - interval '24 hours') then
    raise exception 'a batch needs two approvals of its hash'
      using errcode = 'check_violation', constraint = 'allocation_batches_two_approvals', table = 'allocation_batches';
  end if;
  return new;
end $$;

-- These two after the row, so that the policy of its site has spoken first.
create function app.batch_begins_as_a_draft() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  raise exception 'a batch begins as a draft'
    using errcode = 'check_violation', constraint = 'allocation_batches_begin_as_drafts', table = 'allocation_batches';
end $$;
revoke all on function app.batch_begins_as_a_draft from public;
create trigger begins_as_a_draft after insert on allocation_batches
  for each row when (new.state <> 'draft') execute function app.batch_begins_as_a_draft();

create function app.lines_come_with_their_draft() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if not exists (select from public.allocation_batches b
                 where b.site_id = new.site_id and b.id = new.batch_id and b.state = 'draft') then
    raise exception 'a batch that is no draft takes no line'
      using errcode = 'check_violation', constraint = 'allocation_batch_lines_of_a_draft', table = 'allocation_batch_lines';
  end if;
  return null;
end $$;
revoke all on function app.lines_come_with_their_draft from public;
create trigger of_a_draft after insert on allocation_batch_lines
  for each row execute function app.lines_come_with_their_draft();

-- From wherever it waits to wherever it is sent.
drop trigger sent_in_its_batch on allocations;
create trigger sent_in_its_batch before update of state on allocations
  for each row
  when (old.state in ('pending', 'queued') and new.state in ('unknown', 'submitted', 'confirming', 'done'))
  execute function app.allocation_is_sent_in_its_batch();

-- Tokens that came back by one transaction are one buyer's, of one token, and end each of their debts once.
create index token_settlements_tx_idx on token_settlements (site_id, (regexp_replace(lower(tx_hash), '^0x', '')))
  where tx_hash is not null;
create function app.tokens_come_back_once() returns trigger
language plpgsql set search_path = pg_catalog
as $$
declare
  transaction constant text := regexp_replace(lower(new.tx_hash), '^0x', '');
begin
  -- Of two at once the second one sees the first.
  perform pg_advisory_xact_lock(hashtextextended(new.site_id::text || transaction, 0));
  if exists (select from public.token_settlements s
             join public.allocations other on other.site_id = s.site_id and other.id = s.allocation_id
             join public.allocations own on own.site_id = new.site_id and own.id = new.allocation_id
             where s.site_id = new.site_id and s.id <> new.id and regexp_replace(lower(s.tx_hash), '^0x', '') = transaction
               and (other.id = own.id or (other.party_id, other.asset_id) <> (own.party_id, own.asset_id))) then
    raise exception 'the transaction has ended a debt'
      using errcode = 'unique_violation', constraint = 'token_settlements_transaction_once', table = 'token_settlements';
  end if;
  return null;
end $$;
revoke all on function app.tokens_come_back_once from public;
create trigger transaction_once after insert on token_settlements
  for each row when (new.tx_hash is not null) execute function app.tokens_come_back_once();
