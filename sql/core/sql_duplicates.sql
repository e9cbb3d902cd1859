-- The generator of duplicates: records of one file with the same key.

create or replace function sluice.sql_duplicates(p_spec jsonb, p_key jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- A record is a duplicate when an earlier (last: a later) record without errors of its
-- own has the same key, whether or not that one is itself a duplicate.
with parts as (
    select
        string_agg(u, ', ' order by place) as list,
        string_agg(format('%s as part_%s', u, place), ', ' order by place) as named,
        sluice.sql_same_key(
            p_key, sluice.sql_parts(p_key, 'p'), array_agg('k.part_' || place order by place)
        ) as equal
    from unnest(sluice.sql_parts(p_key, 'p')) with ordinality as u (u, place)
),
mode as (
    select
        coalesce(p_spec -> 'options' ->> 'on_duplicate', 'reject') as name,
        p_key -> 'named' ->> -1 as blame
)
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    'select p._n, ' || case
        when m.name = 'reject' then format(
            e'false, sluice.record_error(\n    ''duplicate'', %L, %L,'
            ' format(''record %%s has the same %s'', k.other), p.%I::text\n)',
            m.blame, p_key ->> 'name',
            (
                select replace(string_agg(c, ', '), '''', '''''')
                from jsonb_array_elements_text(p_key -> 'named') as c
            ),
            m.blame
        )
        else 'true, null' end,
    'from (',
    format('    select %s, %s(p._n) filter (where p._errors is null%s) as other', p.named,
        case when m.name = 'last' then 'max' else 'min' end,
        case when p_spec -> 'children' <> '[]'
            -- errors of a list are errors of its record
            then format(
                ' and not exists (select from %s as e where e._n = p._n)', p_spec ->> 'extra'
            )
            else '' end),
    format('    from %s as p', p_spec ->> 'plan'),
    '    where ' || sluice.sql_takes_part(p_spec, p_key),
    '    group by ' || p.list,
    '    having count(*) > 1',
    ') as k',
    format(
        'inner join %s as p on %s and %s',
        p_spec ->> 'plan', p.equal, sluice.sql_takes_part(p_spec, p_key)
    ),
    'where p._n ' || case when m.name = 'last' then '<' else '>' end || ' k.other'
        -- a dropped record is dropped once, and one with errors is rejected instead
        || case when m.name = 'reject' then '' else ' and p._errors is null' end
)
from parts as p, mode as m;
end;
comment on function sluice.sql_duplicates(jsonb, jsonb) is
'The SQL that finds the records with the same key within the file.';
