-- Which model a site uses for what. Addresses are the operator's: no column holds one.
create table model_accounts (
  site_id uuid not null default app.current_site_id() references sites (id),
  purpose text not null check (purpose in ('staff_chat', 'storefront_chat', 'documents')),
  provider text not null check (length(provider) between 1 and 40),
  model text not null check (length(model) between 1 and 200),
  -- The site's own, of this provider. Null: the operator's.
  key_sealed bytea,
  key_last4 text check (length(key_last4) = 4),
  fallback_provider text check (length(fallback_provider) between 1 and 40),
  fallback_model text check (length(fallback_model) between 1 and 200),
  version integer not null check (version >= 1),
  updated_at timestamptz not null,
  primary key (site_id, purpose),
  constraint model_accounts_key check ((key_sealed is null) = (key_last4 is null)),
  constraint model_accounts_fallback check ((fallback_provider is null) = (fallback_model is null))
);
call app.isolate('model_accounts', 'select, insert, update');

-- That what a purpose handles may be sent to a provider: who said so, when, and to which text.
create table model_consents (
  site_id uuid not null default app.current_site_id() references sites (id),
  purpose text not null check (purpose in ('staff_chat', 'storefront_chat', 'documents')),
  number integer not null check (number >= 1),
  text_version integer not null check (text_version between 1 and 65535),
  given_at timestamptz not null,
  -- Null: a key or a job.
  given_by uuid references identities (id)
    default case when app.actor_part(1) in ('person', 'staff') then app.actor_part(2)::uuid end,
  withdrawn_at timestamptz,
  withdrawn_by uuid references identities (id),
  primary key (site_id, purpose, number),
  constraint model_consents_withdrawn check (withdrawn_at is not null or withdrawn_by is null)
);
-- One holds at a time.
create unique index model_consents_holding_idx on model_consents (site_id, purpose) where withdrawn_at is null;
call app.isolate('model_consents', 'select, insert, update');

-- A consent is a fact; that it was withdrawn is the only thing that may be added.
create function app.keep_model_consent() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  if tg_op = 'UPDATE' and old.withdrawn_at is null and new.withdrawn_at is not null
     and to_jsonb(new) - '{withdrawn_at,withdrawn_by}'::text[]
         is not distinct from to_jsonb(old) - '{withdrawn_at,withdrawn_by}'::text[] then
    return new;
  end if;
  raise exception 'a consent does not change' using errcode = 'restrict_violation';
end
$$;
revoke all on function app.keep_model_consent() from public;
create trigger never_changed before update or delete on model_consents
  for each row execute function app.keep_model_consent();
