-- API keys with a login of their own: the fence against code of the tables that they touch.

alter table sluice.api_key
add column login text check (login ~ '^[a-z_][a-z0-9_]{0,62}$'),
add constraint api_key_role_or_login check (role is null or login is null);
comment on column sluice.api_key.login is
'the login of Postgres in whose own sessions its rows are judged, written and exported; its URL and
 password are a setting of the service (SLUICE_LOGINS) and stand in no table';

create table sluice.login (
    name text primary key,
    seen_at timestamptz,
    missed_at timestamptz
);
comment on table sluice.login is 'The logins of API keys: whether workers have them.';
comment on column sluice.login.seen_at is 'when a worker last said that SLUICE_LOGINS has it';
comment on column sluice.login.missed_at is
'since when work waits for a worker that has it; null: none does';
