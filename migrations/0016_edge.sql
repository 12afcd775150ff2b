-- Whose pages may call the API for a site from a browser. The platform plane writes it, origins in the form that browsers send.
alter table sites add column cors_origins text[] not null default '{}'
  constraint sites_cors_origins_check check (cardinality(cors_origins) <= 50 and array_position(cors_origins, '*') is null);

-- Asked for each origin that a browser names before it may name the site.
create index sites_cors_origins_idx on sites using gin (cors_origins);

create function app.knows_origin(wanted text) returns boolean
language sql stable security definer set search_path = pg_catalog, public
as $$ select exists (select from public.sites s where s.cors_origins @> array[wanted] and s.state = 'active') $$;
revoke all on function app.knows_origin from public;
grant execute on function app.knows_origin to posx_app;
