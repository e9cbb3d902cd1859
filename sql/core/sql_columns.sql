-- The columns of a plan: what the cast knows of each record.

create or replace function sluice.sql_columns(p_spec jsonb)
returns table (name text, type text, source text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select c.name, c.type, c.source
from (
    select 1 as part, i.attnum as place, 0 as sub, f ->> 'ident' as name,
        (f ->> 'base_type') || coalesce(' collate ' || (f ->> 'collation'), '') as type,
        'p.' || (f ->> 'ident') as source
    from jsonb_array_elements(p_spec -> 'fields') as f
    cross join lateral (select (f ->> 'attnum')::integer as attnum) as i
    where (f ->> 'given')::boolean
    union all
    select 2, (f ->> 'attnum')::integer, 0, f ->> 'sent', 'boolean', f ->> 'has'
    from jsonb_array_elements(p_spec -> 'fields') as f
    where f ->> 'has' = 'p.' || (f ->> 'sent') and not sluice.is_wide(p_spec)
    union all
    select 2, 0, 0, '_has', 'boolean[]', 'p._has'
    where p_spec ->> 'source' <> 'csv' and sluice.is_wide(p_spec)
    union all
    select 3, (k ->> 'place')::integer, t.place::integer,
        format('_key_%s_%s', k ->> 'place', t.place),
        (t.part ->> 'type') || coalesce(' collate ' || (t.part ->> 'collation'), ''),
        format('j.key_%s_%s', k ->> 'place', t.place)
    from jsonb_array_elements(p_spec -> 'keys') as k
    cross join lateral jsonb_array_elements(k -> 'parts') with ordinality as t (part, place)
    where (k ->> 'usable')::boolean and t.part ->> 'column' is null
    union all
    select 4, (k ->> 'place')::integer, 0, '_takes_' || (k ->> 'place'), 'boolean',
        'j.takes_' || (k ->> 'place')
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean and k ->> 'predicate' is not null
    union all
    select 5, (c ->> 'place')::integer, 0, '_list_' || (c ->> 'place'), 'boolean',
        'p._list_' || (c ->> 'place')
    from jsonb_array_elements(
        case when p_spec ->> 'source' = 'child' then '[]' else p_spec -> 'children' end
    ) as c
    union all
    select 6, 0, 0, '_unknown', 'text[]', 'p._unknown'
    where p_spec ->> 'source' <> 'csv'
) as c
order by c.part, c.place, c.sub;
end;
comment on function sluice.sql_columns(jsonb) is
'The columns of a plan: the given fields under their own names; _has_<attnum> where absence and null
 differ; _key_<key>_<part> of expression keys; _takes_<key> of partial keys; _list_<child>;
 _unknown.';

create or replace function sluice.sql_create_plan(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select format(
    e'create unlogged table %s (\n    _n bigint not null,\n%s%s,\n    _errors jsonb\n)'
    ' with (autovacuum_enabled = false)',
    p_spec ->> 'plan',
    case when p_spec ->> 'source' = 'child' then e'    _i integer not null,\n' else '' end,
    string_agg(format('    %s %s', c.name, c.type), e',\n')
)
from sluice.sql_columns(p_spec) as c;
end;
comment on function sluice.sql_create_plan(jsonb) is
'DDL of the plan: base types, nullable, no constraints; unlogged, since a crash casts again.';
