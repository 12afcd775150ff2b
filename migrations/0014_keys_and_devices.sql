-- What machines show instead of a person's token. Of each secret only the SHA-256 is kept; it has 192 random bits.

create table api_keys (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (length(name) between 1 and 100),
  -- Capabilities by name. One that this version does not know allows nothing.
  scopes text[] not null check (cardinality(scopes) between 1 and 100),
  made_by uuid not null,
  created_at timestamptz not null,
  -- Of the newest secret.
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (site_id, id),
  foreign key (site_id, made_by) references memberships (site_id, identity_id),
  constraint api_keys_expire check (expires_at > created_at)
);
call app.isolate('api_keys', 'select, insert, update');

-- More than one while a rotation overlaps.
create table api_key_secrets (
  site_id uuid not null default app.current_site_id() references sites (id),
  -- The part of the key's text that may be shown; it finds the row.
  public_part text not null check (public_part ~ '^[0-9a-f]{12}$'),
  key_id uuid not null,
  hash bytea not null check (length(hash) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (site_id, public_part),
  foreign key (site_id, key_id) references api_keys (site_id, id)
);
create index api_key_secrets_key_idx on api_key_secrets (site_id, key_id);
call app.isolate('api_key_secrets', 'select, insert, update');

create table devices (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  name text not null check (length(name) between 1 and 100),
  place_id uuid not null,
  state text not null check (state in ('paired', 'active', 'suspended', 'revoked')),
  public_part text not null check (public_part ~ '^[0-9a-f]{12}$'),
  hash bytea not null check (length(hash) = 32),
  -- Who stands at it, and for how long at most.
  cashier_id uuid,
  cashier_until timestamptz,
  app_version text check (length(app_version) between 1 and 50),
  last_seen_at timestamptz,
  paired_at timestamptz not null,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint devices_public_part_key unique (site_id, public_part),
  foreign key (site_id, place_id) references places (site_id, id),
  foreign key (site_id, cashier_id) references memberships (site_id, identity_id),
  constraint devices_cashier_has_an_end check ((cashier_id is null) = (cashier_until is null)),
  constraint devices_cashier_stands_at_an_active_one check (cashier_id is null or state = 'active')
);
create index devices_place_idx on devices (site_id, place_id);
call app.isolate('devices', 'select, insert, update');

-- Codes that one device claims, once. A new device has no row until then.
create table device_pairings (
  site_id uuid not null default app.current_site_id() references sites (id),
  -- SHA-256 of the code.
  code_hash bytea not null check (length(code_hash) = 32),
  device_id uuid not null,
  name text not null check (length(name) between 1 and 100),
  place_id uuid not null,
  started_by uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  claimed_at timestamptz,
  primary key (site_id, code_hash),
  foreign key (site_id, place_id) references places (site_id, id)
);
create index device_pairings_open_idx on device_pairings (site_id, expires_at) where claimed_at is null;
call app.isolate('device_pairings', 'select, insert, update');
