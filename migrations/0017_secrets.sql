-- Secrets at rest: columns named `…_sealed` hold AES-256-GCM under a data key of the site's own.

-- The site's data keys, each wrapped by a master key that is not in the database. The highest version seals, all open.
create table site_data_keys (
  site_id uuid not null default app.current_site_id() references sites (id),
  version integer not null check (version >= 1),
  -- Which master key wraps it.
  master text not null check (master ~ '^[a-z0-9_-]{1,32}$'),
  wrapped bytea check (length(wrapped) between 32 and 4096),
  created_at timestamptz not null,
  retired_at timestamptz,
  primary key (site_id, version),
  -- What nothing is sealed with any more is forgotten.
  constraint site_data_keys_retired check ((wrapped is null) = (retired_at is not null))
);
-- Not `update`: what runs inside a site cannot lose its key.
call app.isolate('site_data_keys', 'select, insert');
create trigger never_deleted before delete on site_data_keys for each row execute function app.refuse_change();

-- A site's own account at a provider.
create table provider_accounts (
  site_id uuid not null default app.current_site_id() references sites (id),
  provider text not null check (provider in ('stripe')),
  mode text not null check (mode in ('test', 'live')),
  secret_key_sealed bytea,
  secret_key_last4 text not null check (length(secret_key_last4) = 4),
  -- One to a line.
  webhook_secrets_sealed bytea,
  webhook_secrets smallint not null check (webhook_secrets between 0 and 2),
  updated_at timestamptz not null,
  -- The identity; null: the command line.
  updated_by uuid default app.actor_part(2)::uuid,
  removed_at timestamptz,
  primary key (site_id, provider),
  constraint provider_accounts_secret_key check ((secret_key_sealed is null) = (removed_at is not null)),
  constraint provider_accounts_webhook_secrets check ((webhook_secrets_sealed is null) = (webhook_secrets = 0)),
  constraint provider_accounts_removed check (removed_at is null or webhook_secrets = 0)
);
call app.isolate('provider_accounts', 'select, insert, update');

-- The keys of the next sites, for wrapping them anew. A site without one has a line without a version.
create function app.data_keys_after(after_site uuid, at_most integer)
returns table (of_site uuid, version integer, master text, wrapped bytea)
language plpgsql security definer set search_path = pg_catalog, public
as $$
#variable_conflict use_column
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  site record;
begin
  for site in select s.id from public.sites s where after_site is null or s.id > after_site order by s.id limit at_most
  loop
    perform set_config('app.current_site_id', site.id::text, true);
    return query
      select site.id, k.version, k.master, k.wrapped
      from (select 1) one left join public.site_data_keys k on k.site_id = site.id and k.retired_at is null
      order by k.version;
  end loop;
  perform set_config('app.current_site_id', outside, true);
end $$;

-- The same key under another master key. False: it is not as it was any more.
create function app.rewrap_data_key(of_site uuid, which integer, before bytea, new_master text, new_wrapped bytea)
returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  done boolean;
begin
  perform set_config('app.current_site_id', of_site::text, true);
  update public.site_data_keys k set master = new_master, wrapped = new_wrapped
  where k.site_id = of_site and k.version = which and k.wrapped = before;
  done := found;
  perform set_config('app.current_site_id', outside, true);
  return done;
end $$;

-- Forgets a key that nothing is sealed with: never the one that seals, nor one that sealed within the hour before `at_time`.
create function app.retire_data_key(of_site uuid, which integer, at_time timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  done boolean;
begin
  perform set_config('app.current_site_id', of_site::text, true);
  update public.site_data_keys k set wrapped = null, retired_at = at_time
  where k.site_id = of_site and k.version = which and k.retired_at is null
    and exists (
      select from public.site_data_keys n
      where n.site_id = of_site and n.version = which + 1 and n.created_at < at_time - interval '1 hour');
  done := found;
  perform set_config('app.current_site_id', outside, true);
  return done;
end $$;

revoke all on function app.data_keys_after, app.rewrap_data_key, app.retire_data_key from public;
grant execute on function app.data_keys_after, app.rewrap_data_key, app.retire_data_key to posx_platform;
