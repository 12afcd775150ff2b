-- Sessions of browsers. They are an identity's and no site's (reviewed list of the audit): the app role reaches them only
-- through the functions below, none of which shows a token's hash.
create table sessions (
  id uuid primary key,
  identity_id uuid not null references identities (id),
  -- Of the identity.
  issuer text not null,
  -- SHA-256 of the refresh token that is good now, and of the one that it took the place of.
  token_hash bytea not null constraint sessions_token_key unique check (length(token_hash) = 32),
  previous_hash bytea check (length(previous_hash) = 32),
  authenticated_at timestamptz,
  methods text[] not null,
  context text,
  -- Whether the issuer vouched for one, then.
  second_factor boolean not null,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  -- Without a refresh it is over then; never after `expires_at`.
  idle_until timestamptz not null,
  expires_at timestamptz not null,
  user_agent text check (length(user_agent) between 1 and 200),
  -- Salted.
  address_hash bytea check (length(address_hash) = 16),
  ended_at timestamptz,
  end_reason text check (end_reason in ('signed_out', 'reused', 'crowded_out')),
  constraint sessions_idle_within_life check (idle_until <= expires_at),
  constraint sessions_end_has_a_reason check ((ended_at is null) = (end_reason is null))
);
create index sessions_identity_idx on sessions (identity_id, last_used_at desc) where ended_at is null;
create index sessions_age_idx on sessions (idle_until);

-- Refresh tokens that were used: one of them again, later than its grace, is a theft. The salt and the token itself make
-- the successor, so that whoever shows the token within its grace gets the same one; neither half is of use alone.
create table session_tokens (
  token_hash bytea primary key check (length(token_hash) = 32),
  session_id uuid not null references sessions (id),
  salt bytea not null check (length(salt) = 32),
  spent_at timestamptz not null
);
create index session_tokens_session_idx on session_tokens (session_id);
create index session_tokens_age_idx on session_tokens (spent_at);

-- Returns the sessions that had to make room.
create function app.open_session(
  new_id uuid, its_identity uuid, its_issuer text, its_token bytea, its_authenticated_at timestamptz, its_methods text[], its_context text,
  its_second_factor boolean, at timestamptz, its_idle_until timestamptz, its_expires_at timestamptz, agent text, address bytea, at_most integer)
returns setof uuid
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  return query
    update public.sessions set ended_at = at, end_reason = 'crowded_out'
    where id in (
      select s.id from public.sessions s
      where s.identity_id = its_identity and s.ended_at is null and s.idle_until > at
      order by s.last_used_at desc, s.id desc offset at_most - 1)
    returning id;
  insert into public.sessions
    (id, identity_id, issuer, token_hash, authenticated_at, methods, context, second_factor, created_at, last_used_at, idle_until, expires_at,
     user_agent, address_hash)
  values (new_id, its_identity, its_issuer, its_token, its_authenticated_at, its_methods, its_context, its_second_factor,
          at, at, its_idle_until, its_expires_at, agent, address);
end $$;

-- One use of a refresh token. `salt` is what the successor is made with: ours, or that of whoever came first.
create function app.refresh_session(
  shown bytea, successor bytea, its_salt bytea, at timestamptz, grace interval, idle interval, agent text, address bytea)
returns table (outcome text, session_id uuid, salt bytea, identity_id uuid, issuer text, authenticated_at timestamptz,
               methods text[], context text, second_factor boolean, idle_until timestamptz, expires_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, public
as $$
#variable_conflict use_column
declare
  family public.sessions;
  spent public.session_tokens;
begin
  -- Uses at the same time wait here for each other. Who waited looks again: the token may be spent by now.
  select * into family from public.sessions s where s.token_hash = shown for update;
  if not found then
    select * into spent from public.session_tokens t where t.token_hash = shown;
    if not found then
      return query select 'over', null::uuid, null::bytea, null::uuid, null::text, null::timestamptz, null::text[],
        null::text, null::boolean, null::timestamptz, null::timestamptz;
      return;
    end if;
    select * into family from public.sessions s where s.id = spent.session_id for update;
  end if;

  if family.ended_at is not null or at >= family.idle_until then
    outcome := 'over';
  elsif spent.token_hash is null then
    insert into public.session_tokens (token_hash, session_id, salt, spent_at) values (shown, family.id, its_salt, at);
    update public.sessions s
    set token_hash = successor, previous_hash = shown, last_used_at = at, idle_until = least(at + idle, s.expires_at),
        user_agent = agent, address_hash = address
    where s.id = family.id
    returning * into family;
    outcome := 'successor';
    salt := its_salt;
  elsif at >= spent.spent_at + grace then
    update public.sessions s set ended_at = at, end_reason = 'reused' where s.id = family.id;
    outcome := 'reused';
  elsif family.previous_hash = shown then
    outcome := 'successor';
    salt := spent.salt;
  else
    outcome := 'superseded';
  end if;
  return query select outcome, family.id, salt, family.identity_id, family.issuer, family.authenticated_at,
    family.methods, family.context, family.second_factor, family.idle_until, family.expires_at;
end $$;

-- How its holder signed in, while it goes on. An idle one still carries the access token that its last refresh gave.
create function app.session_sign_in(wanted uuid, at timestamptz)
returns table (identity_id uuid, issuer text, authenticated_at timestamptz, methods text[], context text,
               second_factor boolean)
language sql stable security definer set search_path = pg_catalog, public
as $$
  select s.identity_id, s.issuer, s.authenticated_at, s.methods, s.context, s.second_factor
  from public.sessions s where s.id = wanted and s.ended_at is null and s.expires_at > at
$$;

create function app.sessions_of(its_identity uuid, at timestamptz)
returns table (id uuid, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz, user_agent text,
               address_hash bytea)
language sql stable security definer set search_path = pg_catalog, public
as $$
  select s.id, s.created_at, s.last_used_at, s.expires_at, s.user_agent, s.address_hash
  from public.sessions s
  where s.identity_id = its_identity and s.ended_at is null and s.idle_until > at
  order by s.last_used_at desc, s.id desc
$$;

-- All of the identity's when none is named.
create function app.end_sessions(its_identity uuid, wanted uuid, at timestamptz) returns setof uuid
language sql security definer set search_path = pg_catalog, public
as $$
  update public.sessions set ended_at = at, end_reason = 'signed_out'
  where identity_id = its_identity and (wanted is null or id = wanted) and ended_at is null and idle_until > at
  returning id
$$;

-- What was over before that time, and tokens that were spent before: their cookies are over as well.
create function app.purge_sessions(before timestamptz) returns bigint
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  tokens bigint;
  gone bigint;
begin
  delete from public.session_tokens where token_hash in (
    select t.token_hash from public.session_tokens t where t.spent_at < before limit 10000);
  get diagnostics tokens = row_count;
  delete from public.sessions where id in (
    select s.id from public.sessions s
    where s.idle_until < before and not exists (select from public.session_tokens t where t.session_id = s.id)
    limit 10000);
  get diagnostics gone = row_count;
  return tokens + gone;
end $$;

revoke all on function app.open_session, app.refresh_session, app.session_sign_in, app.sessions_of, app.end_sessions,
  app.purge_sessions from public;
grant execute on function app.open_session, app.refresh_session, app.session_sign_in, app.sessions_of, app.end_sessions
  to posx_app;
grant execute on function app.purge_sessions to posx_jobs;
