-- A draft becomes an order in one commit; whose paper a draft is, is followed when a person is erased; what is kept too long goes
-- from suspended sites as well.

-- No draft is half accepted any more.
alter table document_drafts
  drop constraint document_drafts_state_check,
  drop constraint document_drafts_decided,
  add constraint document_drafts_state check (state in ('proposed', 'accepted', 'rejected', 'expired')),
  add constraint document_drafts_decided check ((decided_by is not null) = (state in ('accepted', 'rejected')));
drop index document_drafts_accepted_file_key;
drop index document_drafts_accepted_business_key;
create unique index document_drafts_accepted_file_key on document_drafts (site_id, sha256) where state = 'accepted';
create unique index document_drafts_accepted_business_key on document_drafts (site_id, business_hash) where state = 'accepted';
-- An order is one draft's.
create unique index document_drafts_order_key on document_drafts (site_id, order_id);

-- The customer of whom a draft was first found to speak, whatever becomes of it: an edit of number or address does not end it.
alter table document_drafts
  add column known_party_id uuid,
  add foreign key (site_id, known_party_id) references parties (site_id, id);
create index document_drafts_known_party_idx on document_drafts (site_id, known_party_id);

-- Who has the tax number that a draft names, or else alone has its e-mail address. A name says not who it is.
create function app.party_named(content jsonb) returns uuid
language sql stable strict set search_path = pg_catalog, public
as $$
  with named as (
    select upper(regexp_replace(coalesce(content #>> '{customer,tax_number,value}', content #>> '{order,customer_tax_number,value}'),
             '[^A-Za-z0-9]', '', 'g')) as tax_number,
           lower(btrim(content #>> '{customer,email,value}')) as email)
  select coalesce(
    (select c.party_id from customers c join named n on c.tax_number = n.tax_number),
    (select (array_agg(c.party_id))[1] from customers c join named n on lower(c.email) = n.email having count(*) = 1))
$$;
revoke all on function app.party_named from public;
grant execute on function app.party_named to posx_app;

-- Who is erased has no record, and no paper speaks of them: the files are deleted by the next purge.
create or replace function app.forget_customer() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
declare
  papers uuid[];
begin
  -- Documents before their drafts, as whoever decides about one locks them. A draft may be older than the record that it names.
  select array_agg(found.id) into papers from (
    select o.id from public.documents o
    join public.document_drafts d on d.site_id = o.site_id and d.document_id = o.id
    where o.site_id = new.site_id
      and (d.party_id = new.id or d.buyer_id = new.id or d.known_party_id = new.id or app.party_named(d.content) = new.id)
    order by o.id for update of o) found;
  update public.customers c
  set name = 'erased', tax_number = null, email = null, phone = null, country = null, address = null
  where c.site_id = new.site_id and c.party_id = new.id;
  update public.document_drafts d
  set content = null, findings = '[]', reject_reason = null,
    state = case when d.state = 'proposed' then 'expired' else d.state end,
    version = d.version + 1, updated_at = new.erased_at
  where d.site_id = new.site_id and d.document_id = any (papers);
  update public.documents o set name = 'erased', pages = null, forgotten_at = coalesce(o.forgotten_at, new.erased_at)
  where o.site_id = new.site_id and o.id = any (papers);
  return null;
end $$;

-- What is kept no longer goes, whether its site works or not.
create function app.suspended_sites() returns setof uuid
language sql stable security definer set search_path = pg_catalog, public
as $$ select id from public.sites where state = 'suspended' $$;
revoke all on function app.suspended_sites from public;
grant execute on function app.suspended_sites to posx_jobs;
