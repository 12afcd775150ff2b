-- Talks with the assistant. What people ask and what it answers is kept by the site's retention and then deleted; what a call
-- cost stays in the log of model calls, which has no text.

-- Who talks on a storefront without an account. Of the token only the SHA-256 is kept; it has 192 random bits.
create table chat_visitors (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  -- The part of the token that finds the row.
  public_part text not null check (public_part ~ '^[0-9a-f]{12}$'),
  hash bytea not null check (length(hash) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (site_id, id),
  constraint chat_visitors_public_part_key unique (site_id, public_part),
  constraint chat_visitors_expire check (expires_at > created_at)
);
call app.isolate('chat_visitors', 'select, insert, update, delete');

-- A member's, or the one of a visitor.
create table conversations (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  identity_id uuid references identities (id),
  visitor_id uuid,
  title text check (length(title) between 1 and 120),
  created_at timestamptz not null,
  primary key (site_id, id),
  constraint conversations_is_somebodys check (num_nonnulls(identity_id, visitor_id) = 1),
  constraint conversations_visitor_key unique (site_id, visitor_id),
  foreign key (site_id, visitor_id) references chat_visitors (site_id, id)
);
create index conversations_member_idx on conversations (site_id, identity_id, id desc) where identity_id is not null;
call app.isolate('conversations', 'select, insert, update, delete');

-- A question, and the answer once it is there.
create table conversation_messages (
  site_id uuid not null default app.current_site_id() references sites (id),
  id uuid not null,
  conversation_id uuid not null,
  question text not null check (length(question) between 1 and 2000),
  asked_at timestamptz not null,
  -- Null: the answer is being made, or who made it is gone.
  outcome text check (outcome in ('answered', 'cut', 'broken_off', 'failed')),
  answer text,
  -- What the answer stands on: [{"kind": "order", "id": "ord_…"}].
  citations jsonb not null default '[]',
  -- Why there is no answer, or not the whole of it: a stable code.
  reason text check (length(reason) between 1 and 100),
  answered_at timestamptz,
  primary key (site_id, id),
  constraint conversation_messages_outcome check (
    (outcome is null) = (answered_at is null) and (outcome is null) = (answer is null)),
  foreign key (site_id, conversation_id) references conversations (site_id, id)
);
create index conversation_messages_conversation_idx on conversation_messages (site_id, conversation_id, id desc);
create index conversation_messages_age_idx on conversation_messages (site_id, asked_at);
create index conversation_messages_open_idx on conversation_messages (site_id, asked_at) where outcome is null;
call app.isolate('conversation_messages', 'select, insert, update, delete');

-- How long the site keeps what was said to models and what they answered. Without a row: 183 days.
create table assistant_retention (
  site_id uuid not null default app.current_site_id() references sites (id),
  days integer not null check (days between 1 and 1830),
  version integer not null,
  updated_at timestamptz not null,
  primary key (site_id)
);
call app.isolate('assistant_retention', 'select, insert, update');

-- Who is erased has said nothing. The party loses its identity in the same statement that erases it: the old row has it.
create function app.forget_conversations() returns trigger
language plpgsql set search_path = pg_catalog, public
as $$
begin
  delete from public.conversation_messages m using public.conversations c
  where c.site_id = new.site_id and c.identity_id = old.identity_id
    and m.site_id = c.site_id and m.conversation_id = c.id;
  delete from public.conversations c where c.site_id = new.site_id and c.identity_id = old.identity_id;
  return null;
end $$;
revoke all on function app.forget_conversations from public;
create trigger forgets_conversations after update of erased_at on parties
  for each row when (new.erased_at is not null and old.identity_id is not null)
  execute function app.forget_conversations();
