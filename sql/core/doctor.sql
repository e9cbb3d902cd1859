-- What is wrong with a database, seen from inside, and what to do about it.

create or replace function sluice.doctor()
returns table (finding text, state text, told text, todo text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select d.finding, d.state, d.told, d.todo from sluice.doctor_server() as d
union all
select d.finding, d.state, d.told, d.todo from sluice.doctor_rights() as d
union all
select d.finding, d.state, d.told, d.todo from sluice.doctor_resources() as d
union all
select d.finding, d.state, d.told, d.todo from sluice.doctor_work() as d;
end;
comment on function sluice.doctor() is
'What is wrong with this database for pgsluice: a line for each thing looked at, its state (ok,
 warn, fail), what was seen, and what to do. Log in as the service does: rights are those of the session.';

create or replace function sluice.doctor_json()
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'now', sluice.utc(clock_timestamp()),
    'version', current_setting('server_version'),
    'findings', (select jsonb_agg(to_jsonb(d)) from sluice.doctor() as d)
);
end;
comment on function sluice.doctor_json() is
'sluice.doctor() as a list of objects, with the version and the clock of the server.';
