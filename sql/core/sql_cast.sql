-- The generator of the cast: each record of the stage into the plan, typed, with all
-- the errors that can be seen in the record itself, in one pass.

create or replace function sluice.sql_judged(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- in a scope of its own, where the table's column names mean this record's values
select format(
    e'cross join lateral (\n    select\n%s\n    from (select %s) as %s\n) as j',
    string_agg('        ' || x.expr, e',\n' order by x.part, x.place, x.sub),
    (
        select string_agg(format('p.%1$s', f ->> 'ident'), ', ' order by (f ->> 'attnum')::integer)
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean
    ),
    quote_ident(split_part(p_spec ->> 'resource', '.', 1))
)
from (
    select 1 as part, (c ->> 'place')::integer as place, 0 as sub,
        format('%s as check_%s', c ->> 'expr', c ->> 'place') as expr
    from jsonb_array_elements(p_spec -> 'checks') as c
    where (c ->> 'judged')::boolean and (c ->> 'early')::boolean
    union all
    select 2, (k ->> 'place')::integer, t.place::integer,
        format('%s as key_%s_%s', t.part ->> 'expr', k ->> 'place', t.place)
    from jsonb_array_elements(p_spec -> 'keys') as k
    cross join lateral jsonb_array_elements(k -> 'parts') with ordinality as t (part, place)
    where (k ->> 'usable')::boolean and t.part ->> 'column' is null
    union all
    select 3, (k ->> 'place')::integer, 0,
        format('%s as takes_%s', k ->> 'predicate', k ->> 'place')
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean and k ->> 'predicate' is not null
) as x
having count(*) > 0;
end;
comment on function sluice.sql_judged(jsonb) is
'SQL of the CHECKs, key expressions and key predicates over the record''s own values.';

create or replace function sluice.sql_cast(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with typed as (
    select string_agg(x.expr, e',\n' order by x.place, x.sub) as list
    from (
        select (f ->> 'attnum')::integer as place, 0 as sub,
            format('        %s as %s', sluice.sql_typed(p_spec, f), f ->> 'ident') as expr
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean
        union all
        select (f ->> 'attnum')::integer, 1, '        s.' || (f ->> 'text')
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean and not sluice.is_wide(p_spec)
            and not (
                f ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv' and f ->> 'domain' is null
            )
        union all
        select (f ->> 'attnum')::integer, 2,
            format('        s._doc ? %L as %s', f ->> 'name', f ->> 'sent')
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean and p_spec ->> 'source' <> 'csv'
            and not sluice.is_wide(p_spec)
            and (f ->> 'has' = 'p.' || (f ->> 'sent') or f ->> 'default' is null)
        union all
        select 9999, 1, '        s._cells'
        where sluice.is_wide(p_spec)
        union all
        select 9999, 2, sluice.sql_by_attnum(p_spec, 'null::boolean', (
            select jsonb_object_agg(f ->> 'attnum', format('s._doc ? %L', f ->> 'name'))
            from jsonb_array_elements(p_spec -> 'fields') as f
            where (f ->> 'given')::boolean
        )) || ' as _has'
        where p_spec ->> 'source' <> 'csv' and sluice.is_wide(p_spec)
        union all
        select 10000, (c ->> 'place')::integer, case
            when p_spec ->> 'source' = 'csv'
                then format('        s._cell_list_%1$s is not null as _list_%1$s', c ->> 'place')
            else format('        coalesce(s._doc -> %1$L <> ''null'', false) as _list_%2$s',
                c ->> 'name', c ->> 'place')
        end || format(e',\n        coalesce(%s, false) as _is_list_%s', case
            when p_spec ->> 'source' = 'csv'
                then format('s._cell_list_%1$s is json array', c ->> 'place')
            else format('jsonb_typeof(s._doc -> %L) = ''array''', c ->> 'name')
        end, c ->> 'place')
        from jsonb_array_elements(
            case when p_spec ->> 'source' = 'child' then '[]' else p_spec -> 'children' end
        ) as c
    ) as x
),
faults as (
    select
        string_agg('        or ' || f.condition, e'\n') as conditions,
        string_agg(
            format(
                e'            case when %s\n            then %s end', f.condition, f.error
            ), e',\n'
        ) as errors
    from sluice.sql_faults(p_spec) as f
),
columns as (
    select string_agg(c.name, ', ') as names, string_agg(c.source, ', ') as sources
    from sluice.sql_columns(p_spec) as c
)
select concat_ws(e'\n',
    format('insert into %s (', p_spec ->> 'plan'),
    '    _n, ' || case when p_spec ->> 'source' = 'child' then '_i, ' else '' end
        || c.names || ', _errors',
    ')',
    'select p._n, ' || case when p_spec ->> 'source' = 'child' then 'p._i, ' else '' end
        || c.sources || ',',
    '    case',
    '        when p._fault is not null then jsonb_build_array(p._fault)',
    '        when (',
    '            false',
    coalesce(f.conditions, '') || e'\n        ) is not true then null',
    '        else sluice.present(array[',
    coalesce(f.errors, 'null::jsonb'),
    '        ])',
    '    end as _errors',
    'from (',
    '    -- values: null where the type refuses the text',
    '    select s._n, s._fault,'
        || case when p_spec ->> 'source' <> 'csv' then ' s._unknown,' else '' end
        || case when p_spec ->> 'source' = 'child' then ' s._i,' else '' end,
    t.list,
    '    from (',
    sluice.sql_source(p_spec),
    '        offset 0',
    '    ) as s',
    '    offset 0',
    ') as p',
    sluice.sql_judged(p_spec)
)
from typed as t, faults as f, columns as c;
end;
comment on function sluice.sql_cast(jsonb) is
'The SQL that casts a range of the stage into the plan: $1, $2 blocks (tid), $3, $4 record
 numbers.';
