-- Documents that a site was given, what was read out of them, and customers.

-- A customer's record: a party that may never sign in. Personal data: it goes when the party is erased.
create table customers (
  site_id uuid not null default app.current_site_id() references sites (id),
  party_id uuid not null,
  name text not null check (char_length(name) between 1 and 200),
  -- Without blanks, in upper case, with its country's letters in front.
  tax_number text check (tax_number ~ '^[A-Z]{2}[A-Z0-9]{4,18}$'),
  email text check (char_length(email) between 3 and 254),
  phone text check (char_length(phone) between 1 and 40),
  country text check (country ~ '^[A-Z]{2}$'),
  address text check (char_length(address) between 1 and 500),
  created_at timestamptz not null,
  primary key (site_id, party_id),
  constraint customers_tax_number_key unique (site_id, tax_number),
  foreign key (site_id, party_id) references parties (site_id, id)
);
create index customers_name_idx on customers (site_id, lower(name));
call app.isolate('customers', 'select, insert, update');

create table documents (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (char_length(name) between 1 and 200),
  media_type text not null check (media_type in
    ('application/pdf', 'image/png', 'image/jpeg', 'image/webp', 'text/plain', 'text/csv')),
  bytes bigint not null check (bytes between 1 and 20971520),
  kind text not null check (kind in ('order', 'customer')),
  state text not null check (state in ('awaiting_upload', 'uploaded', 'read', 'unreadable', 'refused', 'expired')),
  -- Why it is unreadable or refused: a stable word.
  reason text check (reason ~ '^[a-z_]{1,60}$'),
  upload_until timestamptz not null,
  uploaded_by uuid not null references identities (id),
  sha256 bytea check (length(sha256) = 32),
  -- The text of each page, as JSON; null for an image, before it is read, and after the retention.
  pages jsonb,
  created_at timestamptz not null,
  uploaded_at timestamptz,
  read_at timestamptz,
  -- Name, text and file are gone, or, until `file_gone_at`, the file is on its way out.
  forgotten_at timestamptz,
  file_gone_at timestamptz,
  primary key (site_id, id),
  constraint documents_reason check ((reason is not null) = (state in ('unreadable', 'refused'))),
  constraint documents_uploaded check ((state in ('uploaded', 'read', 'unreadable')) <= (sha256 is not null)),
  constraint documents_forgotten check (forgotten_at is null or pages is null)
);
create index documents_sha256_idx on documents (site_id, sha256);
create index documents_uploader_idx on documents (site_id, uploaded_by);
create index documents_due_idx on documents (site_id, created_at) where file_gone_at is null;
call app.isolate('documents', 'select, insert, update');

create table document_drafts (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  document_id uuid not null,
  -- {"order": {…}} or {"customer": {…}}; null after the retention.
  content jsonb,
  findings jsonb not null,
  state text not null check (state in ('proposed', 'accepting', 'accepted', 'rejected', 'expired')),
  version integer not null default 1,
  -- SHA-256 of the file, and of customer, number and total: what is accepted once is not accepted again.
  sha256 bytea not null check (length(sha256) = 32),
  business_hash bytea check (length(business_hash) = 32),
  -- The paid call that read it.
  call_id uuid not null,
  -- Whose order it is to be.
  buyer_id uuid,
  decided_by uuid references identities (id),
  decided_at timestamptz,
  reject_reason text check (char_length(reject_reason) between 1 and 500),
  order_id uuid,
  party_id uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (site_id, id),
  constraint document_drafts_document_key unique (site_id, document_id),
  constraint document_drafts_decided check ((decided_by is not null) = (state in ('accepting', 'accepted', 'rejected'))),
  constraint document_drafts_outcome check ((num_nonnulls(order_id, party_id) = 1) = (state = 'accepted')),
  foreign key (site_id, document_id) references documents (site_id, id),
  foreign key (site_id, buyer_id) references parties (site_id, id),
  foreign key (site_id, order_id) references orders (site_id, id),
  foreign key (site_id, party_id) references parties (site_id, id)
);
create unique index document_drafts_accepted_file_key on document_drafts (site_id, sha256)
  where state in ('accepting', 'accepted');
create unique index document_drafts_accepted_business_key on document_drafts (site_id, business_hash)
  where state in ('accepting', 'accepted');
create index document_drafts_business_idx on document_drafts (site_id, business_hash);
create index document_drafts_buyer_idx on document_drafts (site_id, buyer_id);
create index document_drafts_party_idx on document_drafts (site_id, party_id);
call app.isolate('document_drafts', 'select, insert, update');

-- Who is erased has no record, and no paper speaks of them: the files are deleted by the next purge.
create function app.forget_customer() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  update public.customers c
  set name = 'erased', tax_number = null, email = null, phone = null, country = null, address = null
  where c.site_id = new.site_id and c.party_id = new.id;
  with forgotten as (
    update public.document_drafts d
    set content = null, findings = '[]', state = case when d.state = 'proposed' then 'expired' else d.state end,
      version = d.version + 1, updated_at = new.erased_at
    where d.site_id = new.site_id and (d.party_id = new.id or d.buyer_id = new.id)
    returning d.document_id)
  update public.documents o set name = 'erased', pages = null, forgotten_at = coalesce(o.forgotten_at, new.erased_at)
  where o.site_id = new.site_id and o.id in (select f.document_id from forgotten f);
  return null;
end $$;
revoke all on function app.forget_customer from public;
create trigger forgets_customer after update of erased_at on parties
  for each row when (new.erased_at is not null) execute function app.forget_customer();

-- A customer without a login is erased as any: there is no membership to end and no login to forget.
alter function app.erase_party(uuid, uuid, text, timestamptz) rename to erase_member;
create function app.erase_party(erased uuid, stand_in uuid, stand_in_code text, at timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  update public.parties p set erased_at = at
  where p.site_id = app.current_site_id() and p.id = erased and p.identity_id is null and p.erased_at is null
    and exists (select from public.customers c where c.site_id = p.site_id and c.party_id = p.id);
  if not found then
    return app.erase_member(erased, stand_in, stand_in_code, at);
  end if;
  -- A provider's event may carry the payer's name and address.
  update public.webhook_inbox w set body = ''::bytea, headers = '{}'
  where w.site_id_of_owner = app.current_site_id() and w.state in ('done', 'ignored') and w.external_id in (
    select a.intent_id from public.payment_attempts a join public.orders o on o.site_id = a.site_id and o.id = a.order_id
    where o.site_id = app.current_site_id() and o.buyer_id = erased);
  return false;
end $$;
revoke all on function app.erase_party from public;
revoke execute on function app.erase_member from posx_app;
grant execute on function app.erase_party to posx_app;
