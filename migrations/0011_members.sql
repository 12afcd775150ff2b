-- Places of a site: devices stand there, and members may be narrowed to some. One that is closed stays as history.
create table places (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  code text not null check (code ~ '^[A-Z0-9_-]{1,20}$'),
  name text not null check (length(name) between 1 and 200),
  -- An IANA name; the site's own when null.
  time_zone text,
  state text not null default 'active' check (state in ('active', 'closed')),
  version integer not null default 1,
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint places_code_key unique (site_id, code)
);
call app.isolate('places', 'select, insert, update');

-- Removed: the membership is over; the party and its money history stay.
alter table memberships drop constraint memberships_state_check;
alter table memberships add constraint memberships_state_check check (state in ('active', 'disabled', 'removed'));
alter table memberships add column version integer not null default 1;

-- Where a membership holds; everywhere without a row. What it was before is in the events.
create table membership_places (
  site_id uuid not null default app.current_site_id() references sites (id),
  identity_id uuid not null,
  place_id uuid not null,
  primary key (site_id, identity_id, place_id),
  foreign key (site_id, identity_id) references memberships (site_id, identity_id),
  foreign key (site_id, place_id) references places (site_id, id)
);
call app.isolate('membership_places', 'select, insert, delete');

create function app.keep_an_owner() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  -- Two owners that step down together must not pass each other: one at a time per site.
  perform pg_advisory_xact_lock(hashtextextended('owners:' || old.site_id::text, 0));
  if not exists (
    select from public.memberships m
    where m.site_id = old.site_id and m.identity_id <> old.identity_id and m.role = 'owner' and m.state = 'active'
  ) then
    raise exception 'a site keeps an active owner'
      using errcode = 'check_violation', constraint = 'memberships_keep_an_owner', table = 'memberships';
  end if;
  return new;
end $$;
revoke all on function app.keep_an_owner from public;
create trigger keep_an_owner before update on memberships for each row
  when (old.role = 'owner' and old.state = 'active' and (new.role <> 'owner' or new.state <> 'active'))
  execute function app.keep_an_owner();

create table invitations (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  email text not null check (length(email) between 3 and 254),
  role text not null check (role in ('owner', 'admin', 'manager', 'member', 'cashier', 'agent', 'viewer')),
  state text not null default 'pending' check (state in ('pending', 'accepted', 'expired', 'revoked')),
  -- SHA-256 of the token that was sent last; the token itself is kept nowhere.
  token_hash bytea check (length(token_hash) = 32),
  -- Counts the messages that were asked for.
  sending integer not null default 1 check (sending between 1 and 10),
  -- What became of the last one.
  delivery text not null default 'waiting' check (delivery in ('waiting', 'sent', 'refused')),
  invited_by uuid not null,
  accepted_by uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  finished_at timestamptz,
  primary key (site_id, id),
  foreign key (site_id, invited_by) references memberships (site_id, identity_id),
  foreign key (site_id, accepted_by) references memberships (site_id, identity_id),
  constraint invitations_finish check ((state = 'pending') = (finished_at is null)),
  constraint invitations_are_accepted_by_someone check ((state = 'accepted') = (accepted_by is not null))
);
create unique index invitations_token_key on invitations (site_id, token_hash) where token_hash is not null;
create unique index invitations_pending_email_key on invitations (site_id, lower(email)) where state = 'pending';
call app.isolate('invitations', 'select, insert, update');

create table invitation_places (
  site_id uuid not null default app.current_site_id() references sites (id),
  invitation_id uuid not null,
  place_id uuid not null,
  primary key (site_id, invitation_id, place_id),
  foreign key (site_id, invitation_id) references invitations (site_id, id),
  foreign key (site_id, place_id) references places (site_id, id)
);
call app.isolate('invitation_places', 'select, insert');
