-- pgsluice: install and upgrade, the same command. Safe to repeat.
--
--     psql -X -v ON_ERROR_STOP=1 -d mydb -f db/install.sql
--
-- `pgsluice migrate` reads this list too and gives the same result (and adds the
-- queue's schema, which only the service and import_submit need).
-- The order matters: a constraint of a migration may call a rule, so rules come first.

\set ON_ERROR_STOP on
\set QUIET on
\encoding UTF8
set client_min_messages = warning;

-- The ledger; refuses an old server; waits for another installation to end.
\ir ledger.sql

-- Rules that constraints call. They never change their meaning.
begin;
\ir ../sql/rules/app.sql
commit;

-- Structure: each migration runs once.
\set m 0001_sluice
\ir apply.psql
\set m 0002_app
\ir apply.psql

-- Functions and views: replaced as a whole on every run.
begin;
\ir ../sql/core/catalog.sql
commit;

-- End of the installation: let others in.
do $$
begin
    perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended('pgsluice install', 0));
end
$$;
