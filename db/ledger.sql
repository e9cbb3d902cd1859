-- What has run here, and that nobody else is running it now.
-- Every statement may run again; install.sql and `pgsluice migrate` both start with this file.

do $$
begin
    if current_setting('server_version_num')::integer < 160000 then
        raise exception 'pgsluice needs PostgreSQL 16 or newer, this server is %',
            current_setting('server_version')
        using errcode = 'IO501', hint = 'use a newer server; 16 and 18 are tested';
    end if;
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'pgsluice needs a database in UTF8, this one is in %',
            current_setting('server_encoding')
        using errcode = 'IO501', hint = 'create one with: create database … encoding utf8 template template0';
    end if;
    perform pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('pgsluice install', 0));
end
$$;

-- asked first: "if not exists" wants the right to create all the same
do $$
begin
    if to_regnamespace('sluice') is null then
        create schema sluice;
    end if;
end
$$;

create table if not exists sluice.ledger (
    name text primary key,
    applied_at timestamptz not null default now()
);
comment on table sluice.ledger is
'The migrations that ran in this database. Each runs once, in one transaction with its row here.';
comment on column sluice.ledger.name is
'file name without .sql; procrastinate/… are the queue''s own';
