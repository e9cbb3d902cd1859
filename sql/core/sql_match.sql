-- The generator of the match: what each record means for the target,
-- judged in one pass over the whole file.

create or replace function sluice.sql_finders(p_spec jsonb, p_stored integer[])
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- one join for each key: a join over "this key or that one" could not hash
select string_agg(
    format(
        e'        left join (\n            select true as _found%s%s%s\n            from %s%s\n'
        '        ) as k%s on %s',
        (
            select string_agg(', ' || quote_ident(i), '')
            from jsonb_array_elements_text(p_spec -> 'identity') as i
        ),
        (
            select string_agg(
                format(', %s as _t_%s', f ->> 'ident', f ->> 'attnum'), ''
                order by (f ->> 'attnum')::integer
            )
            from jsonb_array_elements(p_spec -> 'fields') as f
            where (f ->> 'attnum')::integer = any(p_stored) and k.k ->> 'match' is not null
        ),
        (
            select string_agg(
                format(
                    ', (%s)%s as _part_%s', t.part ->> 'expr',
                    coalesce(' collate ' || (t.part ->> 'collation'), ''), t.place
                ), '' order by t.place
            )
            from jsonb_array_elements(k -> 'parts') with ordinality as t (part, place)
        ),
        p_spec ->> 'table',
        coalesce(e'\n            where ' || (k ->> 'predicate'), ''),
        k ->> 'place',
        sluice.sql_same_key(k, array(
            select format('k%s._part_%s', k ->> 'place', i)
            from generate_series(1, jsonb_array_length(k -> 'parts')) as i
            order by i
        ), sluice.sql_parts(k, 'p'))
        || case when k.bare then '' else ' and ' || sluice.sql_takes_part(p_spec, k.k) end
    ), e'\n' order by (k ->> 'place')::integer
)
from (
    select
        k,
        -- plain columns say by being null that the record takes no part
        k ->> 'predicate' is null and not (k ->> 'nulls_not_distinct')::boolean
        and not jsonb_path_exists(k, '$.parts[*] ? (@.column == null)') as bare
    from jsonb_array_elements(p_spec -> 'keys') as k
) as k
where (k ->> 'usable')::boolean;
end;
comment on function sluice.sql_finders(jsonb, integer[]) is
'SQL of the joins by which records find their rows, one a key. p_stored: the columns, by attnum,
 that they bring along, so that the rows need not be joined once more.';

create or replace function sluice.sql_match(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with identity as (
    select
        string_agg(format(
            e'    case when r._action = ''i'' then coalesce(%s, %s) else r._to_%s end as %I',
            -- of a new row _to is null, and has the type of the column, which null has not
            case when (f ->> 'given')::boolean then 'r._new_' else 'r._to_' end || i.place,
            case
                when p_spec -> 'options' ->> 'dry_run' in ('true') or f ->> 'default' is null
                    then 'null'
                else f ->> 'default'
            end,
            i.place, i.name
        ), e',\n' order by i.place) as values,
        string_agg(
            format(
                't.%I %s p._to_%s', i.name,
                p_spec -> 'identity_operators' ->> (i.place - 1)::integer, i.place
            ), ' and ' order by i.place
        ) as here,
        string_agg(
            format(
                'p._to_%s%s', i.place, case when (f ->> 'given')::boolean
                    then format(', p.%I as _new_%s', i.name, i.place) else '' end
            ), ', ' order by i.place
        ) as passed,
        string_agg(
            format(
                'r._to_%s%s', i.place, case when (f ->> 'given')::boolean
                    then format(', r._new_%s', i.place) else '' end
            ), ', ' order by i.place
        ) as passed_on,
        string_agg(format(' or r._new_%s is null', i.place), '' order by i.place)
            filter (where (f ->> 'given')::boolean) as unnamed
    from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as i (name, place)
    inner join jsonb_array_elements(p_spec -> 'fields') as f on f ->> 'name' = i.name
),
keys as (
    select
        string_agg(format('when k%s._found then %s', k ->> 'place', k ->> 'match'),
            e'\n                ' order by (k ->> 'match')::integer)
            filter (where k ->> 'match' is not null) as via,
        count(*) filter (where k ->> 'match' is not null) as matching
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean
),
finders as (
    select
        string_agg(format(',\n            coalesce(%s) as _to_%s', (
            select string_agg(
                format('k%s.%I', k ->> 'place', i.name), ', ' order by (k ->> 'match')::integer
            )
            from jsonb_array_elements(p_spec -> 'keys') as k
            where k ->> 'match' is not null
        ), i.place), '' order by i.place) as found
    from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as i (name, place)
),
conflicts as (
    select string_agg(format(
        e',\n            k%1$s._found and %2$s as _conflict_%1$s',
        k ->> 'place',
        case when p_spec -> 'identity' = '[]' then 'true'
        else format('(%s) is distinct from (%s)', (
            select string_agg(format('k%s.%I', k ->> 'place', n), ', ')
            from jsonb_array_elements_text(p_spec -> 'identity') as n
        ), (
            select string_agg(coalesce((
                select 'coalesce(' || string_agg(format('k%s.%I', o ->> 'place', n), ', '
                    order by (o ->> 'match')::integer) || ')'
                from jsonb_array_elements(p_spec -> 'keys') as o
                where o ->> 'match' is not null
            ), 'null'), ', ')
            from jsonb_array_elements_text(p_spec -> 'identity') as n
        )) end
    ), '' order by (k ->> 'place')::integer) as list
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean
        and ((k ->> 'match') is null or (k ->> 'match')::integer > (
            select min((o ->> 'match')::integer) from jsonb_array_elements(p_spec -> 'keys') as o
        ))
),
changed as (
    select
        string_agg(case
            when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident')
            else format(
                'case when %s then p.%s else %s end',
                f ->> 'has', f ->> 'ident', sluice.sql_stored(p_spec, f)
            )
        end, ', ' order by (f ->> 'attnum')::integer) as sent,
        string_agg(sluice.sql_stored(p_spec, f) || case
            when f ->> 'domain' is not null then '::' || (f ->> 'base_type') else '' end,
            ', ' order by (f ->> 'attnum')::integer) as stored
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean and (f ->> 'writable')::boolean and not (f ->> 'is_key')::boolean
        and f ->> 'name' is distinct from p_spec ->> 'created_field'
),
late as (
    select sluice.sql_late(p_spec) as list
),
stored as (
    -- what the above reads of the row that was found
    select
        array_agg((f ->> 'attnum')::integer) as attnums,
        string_agg(format(',\n            %s as _t_%s', case
            when k.matching = 0 or p_spec -> 'identity' = '[]' then 'null::' || (f ->> 'base_type')
            else format('case %s end', (
                select string_agg(
                    format('when k%1$s._found then k%1$s._t_%2$s', o ->> 'place', f ->> 'attnum'),
                    ' ' order by (o ->> 'match')::integer
                )
                from jsonb_array_elements(p_spec -> 'keys') as o
                where o ->> 'match' is not null
            ))
        end, f ->> 'attnum'), '' order by (f ->> 'attnum')::integer) as list
    from keys as k, late, changed, jsonb_array_elements(p_spec -> 'fields') as f
    where concat(changed.sent, ' ', changed.stored, ' ', late.list)
        ~ format('p\._t_%s\M', f ->> 'attnum')
),
faults as (
    select
        string_agg('            or ' || f.condition, e'\n') as conditions,
        string_agg(
            format(
                e'                case when %s\n                then %s end', f.condition, f.error
            ), e',\n'
        ) as errors
    from sluice.sql_match_faults(p_spec) as f
)
select concat_ws(e'\n',
    'select r._n, r._via, r._action, r._errors' || coalesce(e',\n' || i.values, ''),
    'from (',
    '    select r._n, r._via, r._errors' || coalesce(', ' || i.passed_on, '') || coalesce((
        select string_agg(format(', r._list_%s', c ->> 'place'), '')
        from jsonb_array_elements(p_spec -> 'children') as c
    ), '') || ',',
    '        case',
    '            when r._bad or r._errors is not null then null',
    '            when r._via is null then ''i''',
    '            when r._changed then ''u''',
    '            else ''=''',
    '        end::"char" as _action',
    '    from (',
    '    select p._n, p._via' || coalesce(', ' || i.passed, '') || coalesce((
        select string_agg(format(', p._list_%s', c ->> 'place'), '')
        from jsonb_array_elements(p_spec -> 'children') as c
    ), '') || ',',
    '        p._errors is not null or x._n is not null as _bad,',
    '        ' || case when changed.sent is null then 'false'
        else format('row(%s)::record *<> row(%s)::record', changed.sent, changed.stored) end
        || ' as _changed,',
    '        case when (',
    '            false',
    coalesce(faults.conditions, '') || e'\n        ) is not true then null',
    '        else sluice.present(array[',
    coalesce(faults.errors, 'null::jsonb'),
    '        ]) end as _errors',
    '    from (',
    '        select p.*,',
    '            ' || case when k.via is null then 'null::integer'
            else format(e'case\n                %s\n            end', k.via) end || ' as _via'
        || case when k.via is null then (
            select coalesce(string_agg(
                format(e',\n            null::%s as _to_%s', f ->> 'base_type', n.place), ''
            ), '')
            from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as n (name, place)
            inner join jsonb_array_elements(p_spec -> 'fields') as f on f ->> 'name' = n.name
        ) else coalesce(replace(d.found, '\n', e'\n'), '') end
        || coalesce(replace(st.list, '\n', e'\n'), '')
        || coalesce(o.list, ''),
    format('        from %s as p', p_spec ->> 'plan'),
    sluice.sql_finders(p_spec, st.attnums),
    '        where p._n >= $1 and p._n < $2',
    '    ) as p',
    case when sluice.joins_again(p_spec)
        then format(
            '    left join %s as t on %s', p_spec ->> 'table', coalesce(i.here, 'false')
        ) end,
    format(
        '    left join (select distinct e._n from %s as e) as x on p._n = x._n', p_spec ->> 'extra'
    ),
    l.list,
    '    offset ''0''',
    '    ) as r',
    '    offset ''0''',
    ') as r',
    'where r._errors is not null or r._action <> '
        -- what has no row in the work table: here new records that bring their key along
        || case when sluice.is_implied(p_spec) then '''i''' || i.unnamed else '''=''' end
        || case when k.matching > 1 then ' or r._via > 1' else '' end
        || coalesce((
            select string_agg(format(' or r._list_%s', c ->> 'place'), '')
            from jsonb_array_elements(p_spec -> 'children') as c
        ), '')
        || case when (p_spec -> 'options' ->> 'results')::boolean
            then ' or r._action = ''=''' else '' end
)
from
    identity as i, keys as k, finders as d, conflicts as o, changed, late as l, stored as st,
    faults;
end;
comment on function sluice.sql_match(jsonb) is
'The SQL of the match, $1, $2: record numbers from, to: each record finds its row by the keys in
 their order, is compared with it image by image, and gets an action: i insert, u update, = nothing
 (c, only its children change, is found afterwards). Only what has something to do, or to say, is
 written to the work table.';

create or replace function sluice.sql_probe(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    format('select count(coalesce(%s)) * 2 < count(*)', (
        select string_agg(format('k%s._found', k ->> 'place'), ', ')
        from jsonb_array_elements(p_spec -> 'keys') as k
        where (k ->> 'usable')::boolean
    )),
    format('from %s as p tablesample system ($1)', p_spec ->> 'plan'),
    sluice.sql_finders(p_spec, '{}')
);
end;
comment on function sluice.sql_probe(jsonb) is
'SQL that asks of some of the records ($1 percent) whether most of them are new.';
