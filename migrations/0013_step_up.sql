-- A second factor of our own (TOTP, RFC 6238), for whom the identity provider vouches for none. It belongs to a person at
-- a site: another site's staff cannot tell that there is one.
create table second_factors (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  identity_id uuid not null,
  state text not null check (state in ('pending', 'active', 'removed')),
  secret_sealed bytea,
  -- Of the last code that was taken: none is taken twice.
  last_step bigint check (last_step >= 0),
  -- In a row; the next right code forgets them.
  failures integer not null default 0 check (failures >= 0),
  locked_until timestamptz,
  created_at timestamptz not null,
  confirmed_at timestamptz,
  removed_at timestamptz,
  primary key (site_id, id),
  foreign key (site_id, identity_id) references memberships (site_id, identity_id),
  -- What is removed cannot be brought back.
  constraint second_factors_secret check ((secret_sealed is null) = (state = 'removed')),
  constraint second_factors_active check (state <> 'active' or confirmed_at is not null),
  constraint second_factors_removed check ((removed_at is not null) = (state = 'removed'))
);
create unique index second_factors_one_of_each on second_factors (site_id, identity_id, state) where state <> 'removed';
call app.isolate('second_factors', 'select, insert, update');

-- 80 random bits each: a plain SHA-256 is not guessed.
create table second_factor_recovery_codes (
  site_id uuid not null default app.current_site_id() references sites (id),
  factor_id uuid not null,
  code_hash bytea not null check (length(code_hash) = 32),
  created_at timestamptz not null,
  used_at timestamptz,
  -- Another set took its place.
  void_at timestamptz,
  primary key (site_id, factor_id, code_hash),
  foreign key (site_id, factor_id) references second_factors (site_id, id)
);
call app.isolate('second_factor_recovery_codes', 'select, insert, update');

-- Which sign-ins have proven it. Good for ten minutes, then deleted.
create table second_factor_proofs (
  site_id uuid not null default app.current_site_id() references sites (id),
  identity_id uuid not null,
  -- Of the token's session or of the token.
  sign_in_hash bytea not null check (length(sign_in_hash) = 32),
  proven_at timestamptz not null,
  primary key (site_id, identity_id, sign_in_hash),
  foreign key (site_id, identity_id) references memberships (site_id, identity_id)
);
call app.isolate('second_factor_proofs', 'select, insert, update, delete');

-- What a second person must agree to: one request, bound by the hash of its method, path and canonical body.
create table approvals (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  operation text not null,
  quantity bigint not null check (quantity >= 0),
  method text not null,
  path text not null,
  body text not null,
  request_hash bytea not null check (length(request_hash) = 32),
  maker_id uuid not null,
  state text not null check (state in ('submitted', 'approved', 'rejected', 'withdrawn', 'applied')),
  checker_id uuid,
  decided_at timestamptz,
  reason text check (length(reason) between 1 and 500),
  -- When it was used up, or taken back.
  ended_at timestamptz,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (site_id, id),
  foreign key (site_id, maker_id) references memberships (site_id, identity_id),
  foreign key (site_id, checker_id) references memberships (site_id, identity_id),
  constraint approvals_two_people check (checker_id <> maker_id),
  constraint approvals_decided check (
    (state in ('approved', 'rejected', 'applied')) = (checker_id is not null)
    and (checker_id is null) = (decided_at is null)),
  constraint approvals_rejected check ((state = 'rejected') = (reason is not null)),
  constraint approvals_ended check ((state in ('withdrawn', 'applied')) = (ended_at is not null)),
  constraint approvals_in_time check (expires_at > created_at and decided_at < expires_at and ended_at < expires_at)
);
create index approvals_maker_idx on approvals (site_id, maker_id, request_hash) where state in ('submitted', 'approved');
call app.isolate('approvals', 'select, insert, update');

-- Defence in depth: the domain decides, and no statement of anyone's can let another request pass, skip the second person
-- or use an approval twice.
create function app.approval_moves() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  if (new.id, new.operation, new.quantity, new.method, new.path, new.body, new.request_hash, new.maker_id, new.created_at,
      new.expires_at)
     is distinct from
     (old.id, old.operation, old.quantity, old.method, old.path, old.body, old.request_hash, old.maker_id, old.created_at,
      old.expires_at) then
    raise exception 'what an approval is for never changes' using errcode = 'restrict_violation';
  end if;
  if new.state <> old.state and not (
       (old.state = 'submitted' and new.state in ('approved', 'rejected', 'withdrawn'))
    or (old.state = 'approved' and new.state = 'applied' and new.checker_id = old.checker_id)) then
    raise exception 'an approval does not go from % to %', old.state, new.state using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
revoke all on function app.approval_moves() from public;
create trigger approval_moves before update on approvals for each row execute function app.approval_moves();

-- Above which quantity an operation needs a second person; null: never.
create table approval_limits (
  site_id uuid not null default app.current_site_id() references sites (id),
  operation text not null,
  quantity_max bigint check (quantity_max >= 0),
  changed_at timestamptz not null,
  primary key (site_id, operation)
);
call app.isolate('approval_limits', 'select, insert, update');
