-- Roles of a POSX cluster: run once per cluster by a superuser (`posx migrate --superuser-url URL` does it).
-- Passwords are set by the operator; a role without one cannot log in over the network.
-- No role here is superuser or BYPASSRLS, and none is a member of another, the migrator aside.
do $$
declare
  r text;
begin
  foreach r in array array['posx_owner', 'posx_migrator', 'posx_app', 'posx_jobs', 'posx_platform'] loop
    if not exists (select from pg_roles where rolname = r) then
      execute format('create role %I nosuperuser nobypassrls nocreatedb nocreaterole noreplication', r);
    end if;
  end loop;
end $$;
-- The migrator becomes the owner only by an explicit SET ROLE.
alter role posx_owner nologin;
alter role posx_migrator login noinherit;
alter role posx_app login;
alter role posx_jobs login;
-- What this role commits is the queue's bookkeeping: lost in a crash of the machine, a job runs again, and every job may.
alter role posx_jobs set synchronous_commit = off;
alter role posx_platform login;
grant posx_owner to posx_migrator;
