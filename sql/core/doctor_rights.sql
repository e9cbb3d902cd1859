-- What sluice.doctor sees of rights: of the session's role, and of everybody.

create or replace function sluice.doctor_rights()
returns table (finding text, state text, told text, todo text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with missing as (
    select 'usage of schema ' || n.nspname as what
    from pg_namespace as n
    where n.nspname in ('sluice', 'sluice_stage', 'procrastinate')
        and not has_schema_privilege(n.oid, 'usage')
    union all
    select 'create in schema sluice_stage'
    where not has_schema_privilege('sluice_stage', 'create')
    union all
    select 'writing to ' || min(c.oid::regclass::text) || case
        when count(*) > 1 then ' and ' || count(*) - 1 || ' tables more' else ''
    end
    from pg_class as c
    where c.relnamespace in ('sluice'::regnamespace, to_regnamespace('procrastinate'))
        and c.relkind = 'r' and c.relname <> 'ledger'
        and not (
            -- each of them: a list in one text would ask for any
            has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
            and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')
        )
    having count(*) > 0
    union all
    select 'execute on ' || min(p.oid::regprocedure::text) || case
        when count(*) > 1 then ' and ' || count(*) - 1 || ' functions more' else ''
    end
    from pg_proc as p
    where p.pronamespace in ('sluice'::regnamespace, to_regnamespace('procrastinate'))
        and p.prokind in ('f', 'p')
        and p.proname not in ('grant_roles', 'hand_over')
        and not has_function_privilege(p.oid, 'execute')
    having count(*) > 0
)
select
    'rights',
    case when count(*) = 0 then 'ok' else 'fail' end,
    case
        when count(*) = 0 then format('%s may do what the service does', current_user)
        else format('%s lacks %s', current_user, string_agg(m.what, ', '))
    end,
    case when count(*) > 0 then format('grant sluice_service to %I', current_user) end
from missing as m;
end;
comment on function sluice.doctor_rights() is
'Whether the role of this session may do what API and workers do.';

create or replace function sluice.doctor_resources()
returns table (finding text, state text, told text, todo text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with resources as (
    select r.name, r.search_path, c.oid as table_id, c.relnamespace as schema_id
    from sluice.resource as r
    left join pg_class as c on r.target = c.oid
),

gone as (
    select r.name from resources as r where r.table_id is null
),

closed as (
    select r.name, r.table_id
    from resources as r
    where r.table_id is not null
        and not (
            has_schema_privilege(r.schema_id, 'usage')
            and has_table_privilege(r.table_id, 'select')
            and has_table_privilege(r.table_id, 'insert')
            and has_table_privilege(r.table_id, 'update')
            and has_table_privilege(r.table_id, 'delete')
        )
),

traps as (
    select distinct n.nspname
    from resources as r
    cross join unnest(string_to_array(r.search_path, ',')) as u (word)
    inner join pg_namespace as n on btrim(u.word, ' "') = n.nspname
    cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
    where a.grantee = 0 and a.privilege_type = 'CREATE'
)

select
    'resources', case when count(*) = 0 then 'ok' else 'fail' end,
    case
        when count(*) = 0 then (select count(*) from resources) || ' registered'
        else 'the table is gone of ' || string_agg(g.name, ', ')
    end,
    case when count(*) > 0 then 'register the new table, or select sluice.unregister(…)' end
from gone as g
union all
select
    'tables', case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then format('%s may read and write them all', current_user)
        else format('%s may not read and write %s', current_user, string_agg(c.name, ', '))
    end,
    case
        when count(*) > 0 then 'unless keys with a role of their own do it: grant select, insert, '
            'update, delete on ' || string_agg(c.table_id::regclass::text, ', ') || ' to '
            || quote_ident(current_user) || ', and usage of the schema'
    end
from closed as c
union all
select
    'search path', case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then 'code of the tables finds nothing that others could plant'
        else 'everybody may create in schema ' || string_agg(t.nspname, ', ')
            || ', where code of registered tables looks for names'
    end,
    case
        when count(*) > 0
            then 'revoke create on schema ' || string_agg(quote_ident(t.nspname), ', ')
                || ' from public'
    end
from traps as t;
end;
comment on function sluice.doctor_resources() is
'Whether the registered tables are there and open to the role of this session, and whether
 others could plant a function or type where their code looks for names.';
