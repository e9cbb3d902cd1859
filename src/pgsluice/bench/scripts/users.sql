-- What an expert writes in psql for a file of users: the yardstick of `pgsluice bench`.
-- Bad rows are dropped without a word; of rows with one e-mail the first one counts.
\set ON_ERROR_STOP on
set jit = off;
set synchronous_commit = on;
begin;
create temporary table incoming (
    n bigint generated always as identity,
    id text, email text, name text, role text, active text
) on commit drop;
\copy incoming (id, email, name, role, active) from pstdin with (format csv, header)
analyze incoming;
insert into app.users (id, email, name, role, active)
select distinct on (i.email)
    coalesce(i.id::uuid, gen_random_uuid()), i.email, i.name, i.role, i.active::boolean
from incoming as i
where
    app.is_email_v1(i.email)
    and length(i.name) >= 1 and length(i.name) <= 256
    and i.role in ('admin', 'manager', 'author', 'editor', 'reader')
    and (i.id is null or pg_input_is_valid(i.id, 'uuid'))
    and pg_input_is_valid(i.active, 'boolean')
order by i.email asc, i.n asc
on conflict (email) do update set
    name = excluded.name,
    role = excluded.role,
    active = excluded.active,
    updated_at = now();
commit;
