-- Which site sends from which of the custodian's vaults: the platform says so, one site for each vault (F25).

-- Not a site's own (reviewed list of the audit): a site's role asks app.owns_vault and sees no row.
create table site_vaults (
  vault text primary key check (length(vault) between 1 and 100),
  site_id_of_owner uuid not null references sites (id)
);
create index site_vaults_owner_idx on site_vaults (site_id_of_owner);
grant select on site_vaults to posx_platform;

create function app.owns_vault(wanted text) returns boolean
language sql stable security definer set search_path = pg_catalog, public
as $$
  select exists (select from public.site_vaults v where v.vault = wanted and v.site_id_of_owner = app.current_site_id())
$$;
revoke all on function app.owns_vault from public;
grant execute on function app.owns_vault to posx_app;

-- Gives vaults to a site and takes some from it. The first that is another site's comes back: then the caller rolls back.
create function app.change_vaults(of_site uuid, added text[], removed text[]) returns text
language plpgsql security definer set search_path = pg_catalog, public
as $$
declare
  taken text;
begin
  insert into public.site_vaults (vault, site_id_of_owner) select distinct a.vault, of_site from unnest(added) as a (vault) order by 1
  on conflict (vault) do nothing;
  select v.vault into taken from public.site_vaults v
  where v.vault = any (added) and v.site_id_of_owner <> of_site order by 1 limit 1;
  if taken is not null then
    return taken;
  end if;
  delete from public.site_vaults v where v.site_id_of_owner = of_site and v.vault = any (removed);
  return null;
end $$;
revoke all on function app.change_vaults from public;
grant execute on function app.change_vaults to posx_platform;

-- Until now a site named any vault: each goes to the site of its oldest asset. Another site's asset stays, and is not sent from.
create table named_vaults (vault text, of_site uuid, created_at timestamptz, asset_id uuid);
do $$
declare
  site record;
begin
  for site in select s.id from public.sites s loop
    perform set_config('app.current_site_id', site.id::text, true);
    insert into named_vaults select a.vault, a.site_id, a.created_at, a.id from public.chain_assets a where a.site_id = site.id;
  end loop;
  perform set_config('app.current_site_id', '', true);
end $$;
insert into site_vaults (vault, site_id_of_owner)
select distinct on (n.vault) n.vault, n.of_site from named_vaults n order by n.vault, n.created_at, n.asset_id;
drop table named_vaults;

-- After the row, so that the policy of its site has spoken first.
create function app.asset_is_kept_in_an_own_vault() returns trigger
language plpgsql security definer set search_path = pg_catalog, public
as $$
begin
  if not exists (select from public.site_vaults v where v.vault = new.vault and v.site_id_of_owner = new.site_id) then
    raise exception 'the vault is not one of the site''s'
      using errcode = 'check_violation', constraint = 'chain_assets_own_vault', table = 'chain_assets';
  end if;
  return null;
end $$;
revoke all on function app.asset_is_kept_in_an_own_vault from public;
create trigger own_vault after insert or update of vault on chain_assets
  for each row execute function app.asset_is_kept_in_an_own_vault();

alter table allocation_batch_lines
  drop constraint allocation_batch_lines_left_out_check,
  add constraint allocation_batch_lines_left_out_check check (left_out in
    ('order_disputed', 'order_returned', 'wallet_cooling_off', 'wallet_changed', 'changed', 'given_up', 'vault_not_assigned',
     'needs_person'));
