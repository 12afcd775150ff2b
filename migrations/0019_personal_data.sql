-- Erasing a person. What the books need stays under the party's id, which then stands for nobody.

alter table parties add column erased_at timestamptz;
alter table parties add constraint parties_erased_is_nobodys check (erased_at is null or identity_id is null);

-- What keeps a party from being erased, if anything: someone still owes it, or it still owes, something that this data is needed for.
create function app.open_business(of_party uuid) returns text[]
language sql stable set search_path = pg_catalog, public
as $$
  select array_remove(array[
    -- Who works for the site leaves it first, by the rules for members.
    case when exists (select from public.memberships m
                      where m.party_id = of_party and m.state <> 'removed' and m.role not in ('member', 'agent', 'viewer'))
      then 'membership' end,
    case when exists (select from public.orders o where o.buyer_id = of_party and o.lifecycle = 'placed') then 'orders' end,
    case when exists (select from public.allocations a where a.party_id = of_party and a.state <> 'done') then 'allocations' end,
    case when exists (select from public.refunds r join public.orders o on o.site_id = r.site_id and o.id = r.order_id
                      where o.buyer_id = of_party and r.state = 'pending') then 'refunds' end,
    case when exists (select from public.commissions c
                      where c.agent_id = of_party and c.state in ('held', 'ready', 'batched', 'frozen')) then 'commissions' end,
    case when exists (select from public.accounts a
                      join public.postings p on p.site_id = a.site_id and p.account = a.code and p.unit = a.unit
                      where a.party_id = of_party group by a.code, a.unit having sum(p.amount) <> 0) then 'balance' end
  ], null)
$$;

-- Forgets who an identity was, unless it is somebody elsewhere: a member of another site, or platform staff.
create function app.forget_login(forgotten uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  outside constant text := coalesce(current_setting('app.current_site_id', true), '');
  site uuid;
  elsewhere boolean := false;
begin
  if exists (select from public.platform_staff s where s.identity_id = forgotten) then
    return false;
  end if;
  for site in select s.id from public.sites s loop
    perform set_config('app.current_site_id', site::text, true);
    elsewhere := elsewhere
      or exists (select from public.memberships m where m.identity_id = forgotten and m.state <> 'removed');
  end loop;
  perform set_config('app.current_site_id', outside, true);
  if elsewhere then
    return false;
  end if;
  delete from public.session_tokens t using public.sessions s where s.id = t.session_id and s.identity_id = forgotten;
  delete from public.sessions s where s.identity_id = forgotten;
  update public.identities i set issuer = 'erased', subject = i.id::text where i.id = forgotten;
  return true;
end $$;

-- Erases a party of the open transaction's site. `stand_in` takes its place at the membership, which is over: whoever joins
-- again with the same login begins anew. Null: there is no such person here (any more). False: the login goes on elsewhere.
create function app.erase_party(erased uuid, stand_in uuid, stand_in_code text, at timestamptz) returns boolean
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  person uuid;
begin
  select p.identity_id into person from public.parties p
  where p.site_id = app.current_site_id() and p.id = erased for update;
  if person is null then
    return null;
  end if;
  update public.parties p set identity_id = null, erased_at = at where p.site_id = app.current_site_id() and p.id = erased;
  insert into public.parties (id, identity_id, referral_code, created_at) values (stand_in, person, stand_in_code, at);
  update public.memberships m set party_id = stand_in, state = 'removed', version = m.version + 1
  where m.site_id = app.current_site_id() and m.identity_id = person;
  delete from public.membership_places m where m.site_id = app.current_site_id() and m.identity_id = person;
  delete from public.wallets w where w.site_id = app.current_site_id() and w.party_id = erased;
  delete from public.wallet_challenges w where w.site_id = app.current_site_id() and w.holder_id = person;
  delete from public.second_factor_proofs s where s.site_id = app.current_site_id() and s.identity_id = person;
  update public.second_factors s set state = 'removed', secret_sealed = null, removed_at = at
  where s.site_id = app.current_site_id() and s.identity_id = person and s.state <> 'removed';
  update public.devices d set cashier_id = null, cashier_until = null
  where d.site_id = app.current_site_id() and d.cashier_id = person;
  update public.api_keys k set revoked_at = at
  where k.site_id = app.current_site_id() and k.made_by = person and k.revoked_at is null;
  update public.invitations i set email = 'erased@invalid'
  where i.site_id = app.current_site_id() and i.accepted_by = person;
  -- Answers to their calls, which show what they bought; a repeated call is not theirs any more.
  delete from public.idempotency_keys k
  where k.site_id = app.current_site_id() and k.actor = 'idn_' || replace(person::text, '-', '');
  -- A provider's event may carry the payer's name and address.
  update public.webhook_inbox w set body = ''::bytea, headers = '{}'
  where w.site_id_of_owner = app.current_site_id() and w.state in ('done', 'ignored') and w.external_id in (
    select a.intent_id from public.payment_attempts a join public.orders o on o.site_id = a.site_id and o.id = a.order_id
    where o.site_id = app.current_site_id() and o.buyer_id = erased);
  return app.forget_login(person);
end $$;

-- Addresses of invitations that came to their end long ago.
create function app.purge_invitation_addresses(finished_before timestamptz) returns bigint
language sql set search_path = pg_catalog, public
as $$
  with gone as (
    update public.invitations i set email = 'erased@invalid'
    where i.finished_at < finished_before and i.email <> 'erased@invalid' returning 1)
  select count(*) from gone
$$;

revoke all on function app.open_business, app.forget_login, app.erase_party, app.purge_invitation_addresses from public;
grant execute on function app.open_business, app.erase_party, app.purge_invitation_addresses to posx_app;
