-- The generator of duplicates and match: what each record means for the target,
-- judged in one pass over the whole file.

create or replace function sluice.sql_parts(p_key jsonb, p_alias text)
returns text []
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
-- the values of a key in a record of the plan
select array_agg(
    case
        when t.part ->> 'column' is null
            then format('%s._key_%s_%s', p_alias, p_key ->> 'place', t.place)
        else format('%s.%I', p_alias, t.part ->> 'column')
            || coalesce(' collate ' || (t.part ->> 'collation'), '')
    end order by t.place
)
from jsonb_array_elements(p_key -> 'parts') with ordinality as t (part, place);
end;
comment on function sluice.sql_parts(jsonb, text) is
'SQL of the parts of a key as a record of the plan has them.';

create or replace function sluice.sql_same_key(p_key jsonb, p_left text [], p_right text [])
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select string_agg(
    case
        -- arrays compare their elements by the type's own equality, hash, and hold nulls for equal
        when (p_key ->> 'nulls_not_distinct')::boolean
            then format('array[%s] = array[%s]', p_left[t.place], p_right[t.place])
        else format('%s %s %s', p_left[t.place], t.part ->> 'operator', p_right[t.place])
    end, ' and ' order by t.place
)
from jsonb_array_elements(p_key -> 'parts') with ordinality as t (part, place);
end;
comment on function sluice.sql_same_key(jsonb, text [], text []) is
'SQL that compares the parts of two keys by the operators of their own index.';

create or replace function sluice.sql_same_row(p_spec jsonb, p_left text, p_right text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select string_agg(
    format('%s.%I %s %s.%I', p_left, i.name, p_spec -> 'identity_operators' ->> (i.place - 1)::integer, p_right, i.name),
    ' and ' order by i.place
)
from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as i (name, place);
end;
comment on function sluice.sql_same_row(jsonb, text, text) is
'SQL that is true when two aliases hold the same row of the target, by the key that names rows.';

create or replace function sluice.sql_takes_part(p_spec jsonb, p_key jsonb)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(nullif(concat_ws(
    ' and ',
    case when p_key ->> 'predicate' is not null then format('p._takes_%s', p_key ->> 'place') end,
    case when not (p_key ->> 'nulls_not_distinct')::boolean
        then (
            select string_agg(u || ' is not null', ' and ' order by place)
            from unnest(sluice.sql_parts(p_key, 'p')) with ordinality as u (u, place)
        ) end,
    -- a record that lacks a field has no value of an expression over it, and no null that could be equal
    case when (p_key ->> 'nulls_not_distinct')::boolean
        or jsonb_path_exists(p_key, '$.parts[*] ? (@.column == null)')
        then (
            select string_agg(f ->> 'has', ' and ' order by (f ->> 'attnum')::integer)
            from jsonb_array_elements(p_spec -> 'fields') as f
            where p_key -> 'columns' ? (f ->> 'name') and f ->> 'has' <> 'true'
        ) end
), ''), 'true');
end;
comment on function sluice.sql_takes_part(jsonb, jsonb) is
'SQL that is true when a key binds a record p of the plan: its predicate holds, the record has all of it,
 and no part is null.';

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
            (select replace(string_agg(c, ', '), '''', '''''') from jsonb_array_elements_text(p_key -> 'named') as c),
            m.blame
        )
        else 'true, null' end,
    'from (',
    format('    select %s, %s(p._n) filter (where p._errors is null%s) as other', p.named,
        case when m.name = 'last' then 'max' else 'min' end,
        case when p_spec -> 'children' <> '[]'
            -- errors of a list are errors of its record
            then format(' and not exists (select from %s as e where e._n = p._n)', p_spec ->> 'extra')
            else '' end),
    format('    from %s as p', p_spec ->> 'plan'),
    '    where ' || sluice.sql_takes_part(p_spec, p_key),
    '    group by ' || p.list,
    '    having count(*) > 1',
    ') as k',
    format('inner join %s as p on %s and %s', p_spec ->> 'plan', p.equal, sluice.sql_takes_part(p_spec, p_key)),
    'where p._n ' || case when m.name = 'last' then '<' else '>' end || ' k.other'
        -- a dropped record is dropped once, and one with errors is rejected instead
        || case when m.name = 'reject' then '' else ' and p._errors is null' end
)
from parts as p, mode as m;
end;
comment on function sluice.sql_duplicates(jsonb, jsonb) is
'The SQL that finds the records with the same key within the file.';

create or replace function sluice.sql_result_row(p_spec jsonb, p_only text [])
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select string_agg(
    format('%s as %s', case
        when not (f ->> 'given')::boolean or f ->> 'has' = 'false' then format(
            'case when p._via is not null then t.%s else %s end', f ->> 'ident', d.default
        )
        when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident')
        else format(
            'case when %s then p.%s when p._via is not null then t.%s else %s end',
            f ->> 'has', f ->> 'ident', f ->> 'ident', d.default
        )
    end, f ->> 'ident'),
    e',\n            ' order by (f ->> 'attnum')::integer
)
from jsonb_array_elements(p_spec -> 'fields') as f
cross join lateral (
    select case
        -- judging must not take numbers from a sequence
        when f ->> 'default' is null or f ->> 'default' like '%nextval(%'
            then 'null::' || (f ->> 'base_type')
        else f ->> 'default'
    end as default
) as d
where not (f ->> 'generated')::boolean and (p_only is null or f ->> 'name' = any (p_only));
end;
comment on function sluice.sql_result_row(jsonb, text []) is
'SQL of the row that would result: the existing row overlaid with the record, or the record over defaults.';

create or replace function sluice.sql_late(p_spec jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_items text;
    v_generated text;
    v_only text[];
begin
    select string_agg('        ' || x.item, e',\n') into v_items
    from (
        select format('%s as late_%s', c ->> 'expr', c ->> 'place') as item
        from jsonb_array_elements(p_spec -> 'checks') as c
        where (c ->> 'judged')::boolean and (c ->> 'late')::boolean
        union all
        select format('%s(row(%s)::%s) as %I', r.rule ->> 'function', (
            select string_agg('o.' || (f ->> 'ident'), ', ' order by (f ->> 'attnum')::integer)
            from jsonb_array_elements(p_spec -> 'fields') as f
        ), p_spec ->> 'table', 'rule_' || r.place)
        from jsonb_array_elements(p_spec -> 'rules') with ordinality as r (rule, place)
    ) as x;
    if v_items is null then
        return null;
    end if;
    select string_agg(format('%s as %s', f ->> 'generated_expr', f ->> 'ident'), ', ') into v_generated
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'generated')::boolean;
    if p_spec -> 'rules' = '[]' and v_generated is null then
        -- only what the checks read, so that the rest of the row need not be fetched
        select array_agg(distinct n.name) into v_only
        from jsonb_array_elements(p_spec -> 'checks') as c
        cross join lateral jsonb_array_elements_text(c -> 'columns') as n (name)
        where (c ->> 'judged')::boolean and (c ->> 'late')::boolean;
    end if;
    return concat_ws(e'\n',
        '    cross join lateral (',
        '        select',
        v_items,
        '        from (',
        case when v_generated is not null then
        '            select ' || (
            select string_agg(case when (f ->> 'generated')::boolean
                then format('(%s) as %s', f ->> 'generated_expr', f ->> 'ident')
                else f ->> 'ident' end, ', ' order by (f ->> 'attnum')::integer)
            from jsonb_array_elements(p_spec -> 'fields') as f
        ) || e'\n            from (' end,
        '            select ' || sluice.sql_result_row(p_spec, v_only),
        case when v_generated is not null then '            ) as o' end,
        '        ) as o',
        '    ) as j'
    );
end;
$$;
comment on function sluice.sql_late(jsonb) is
'SQL that judges, over the row that would result, the CHECKs whose columns a record may lack, and the rules.';

create or replace function sluice.sql_match_faults(p_spec jsonb)
returns table (condition text, error text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with keys as (
    select k as key, (k ->> 'place')::integer as place, (k ->> 'match')::integer as match,
        k -> 'named' ->> -1 as blame, k ->> 'name' as name,
        coalesce(p_spec -> 'options' ->> 'mode', 'upsert') as mode
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean
),
faults as (
    select 1 as part, k.place, format('p._via = %s', k.match) as condition, format(
        'sluice.record_error(''exists'', %L, %L, ''a row with this %s exists already'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    ) as error
    from keys as k
    where k.mode = 'insert' and k.match is not null
    union all
    select 2, 0, 'p._via is null and p._errors is null', format(
        'sluice.record_error(''missing'', %L, %L, ''no row has this %s'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    )
    from (select k.* from keys as k where k.match is not null order by k.match limit 1) as k
    where k.mode = 'update'
    union all
    -- an identity that is always generated names rows, but makes none
    select 3, 0, format('p._via is null and p.%s is not null', f ->> 'ident'), format(
        'sluice.record_error(''missing'', %L, null, ''no row has this %s; identity=keep would write it'', p.%s::text)',
        f ->> 'name', replace(f ->> 'name', '''', ''''''), f ->> 'ident'
    )
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean and f ->> 'identity' = 'a' and not (f ->> 'writable')::boolean
        and p_spec -> 'options' ->> 'mode' is distinct from 'update'
    union all
    -- keys that find two different rows
    select 4, k.place, format('p._conflict_%s', k.place), format(
        'sluice.record_error(''conflict'', %L, %L,'
        ' ''belongs to another row than the one that the record matches'', p.%I::text)',
        k.blame, k.name, k.blame
    )
    from keys as k
    where k.match is not null and k.match > (select min(o.match) from keys as o) and k.mode <> 'insert'
    union all
    select 5, k.place, format('p._conflict_%s', k.place), format(
        'sluice.record_error(''unique'', %L, %L, ''another row has this %s'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    )
    from keys as k
    where k.match is null
    union all
    -- a new row needs what has neither null nor default
    select 6, (f ->> 'attnum')::integer,
        'p._via is null and ' || case f ->> 'has'
            when 'false' then 'true'
            else format('not (%s)', f ->> 'has') end
        || format(' and (p._errors is null or not (p._errors @> ''[{"code": "malformed"}]'' or p._errors @> %L%s))',
            jsonb_build_array(jsonb_build_object('field', f ->> 'name')), (
                select string_agg(distinct format(' or p._errors @> %L',
                    jsonb_build_array(jsonb_build_object('field', c.name))), '')
                from keys as k
                cross join lateral jsonb_array_elements_text(k.key -> 'columns') as c (name)
                where k.match is not null
            )),
        format('sluice.record_error(''required'', %L, null, ''must be given for a new row'', null)', f ->> 'name')
    from jsonb_array_elements(p_spec -> 'fields') as f
    where
        (f ->> 'not_null')::boolean and f ->> 'default' is null and not (f ->> 'generated')::boolean
        and p_spec -> 'options' ->> 'mode' is distinct from 'update'
        -- a CSV cell that is null was judged by the cast
        and (f ->> 'cell' is null)
    union all
    select 7, (c ->> 'place')::integer,
        format('p._errors is null and x._n is null and j.late_%s is false', c ->> 'place')
        || coalesce(format(' and not (%s)', nullif(c ->> 'has_all', '')), '')
        || coalesce(format(' and (p._via is null or %s)', nullif(c ->> 'has_any', '')), ''),
        format(
            'sluice.record_error(''check'', %L, %L, %L, null)', c ->> 'blame', c ->> 'name',
            coalesce(c ->> 'message', format('must satisfy %s', c ->> 'expr'))
        )
    from jsonb_array_elements(p_spec -> 'checks') as c
    where (c ->> 'judged')::boolean and (c ->> 'late')::boolean
    union all
    select 8, r.place::integer, format('p._errors is null and x._n is null and j.%I is false', 'rule_' || r.place), format(
        'sluice.record_error(''rule'', %L, %L, %L, %s)', r.rule ->> 'field', r.rule ->> 'code',
        r.rule ->> 'message', coalesce((
            select format('p.%s::text', f ->> 'ident')
            from jsonb_array_elements(p_spec -> 'fields') as f
            where f ->> 'name' = r.rule ->> 'field' and (f ->> 'given')::boolean
        ), 'null')
    )
    from jsonb_array_elements(p_spec -> 'rules') with ordinality as r (rule, place)
)
select f.condition, f.error
from faults as f
order by f.part, f.place;
end;
comment on function sluice.sql_match_faults(jsonb) is
'What may be wrong with a record against the target: SQL that is true when it is, and SQL of the error.';

create or replace function sluice.sql_finders(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- one join for each key: a join over "this key or that one" could not hash
select string_agg(
    format(
        e'        left join (\n            select true as _found%s%s\n            from %s%s\n        ) as k%s on %s',
        (
            select string_agg(', ' || quote_ident(i), '')
            from jsonb_array_elements_text(p_spec -> 'identity') as i
        ),
        (
            select string_agg(format(', (%s)%s as _part_%s', t.part ->> 'expr',
                coalesce(' collate ' || (t.part ->> 'collation'), ''), t.place), '' order by t.place)
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
comment on function sluice.sql_finders(jsonb) is
'SQL of the joins by which records find their rows, one a key.';

create or replace function sluice.sql_match(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with identity as (
    select
        string_agg(quote_ident(i.name), ', ' order by i.place) as list,
        string_agg(format('t.%I %s p._to_%s', i.name,
            p_spec -> 'identity_operators' ->> (i.place - 1)::integer, i.place), ' and ' order by i.place) as here,
        string_agg(format(
            e'    case when r._action = ''i'' then coalesce(%s, %s) else r._to_%s end',
            case when (f ->> 'given')::boolean then format('r._new_%s', i.place) else 'null' end,
            case
                when p_spec -> 'options' ->> 'dry_run' in ('true') or f ->> 'default' is null then 'null'
                else f ->> 'default'
            end,
            i.place
        ), e',\n' order by i.place) as values,
        string_agg(format('p._to_%s%s', i.place, case when (f ->> 'given')::boolean
            then format(', p.%I as _new_%s', i.name, i.place) else '' end), ', ' order by i.place) as passed,
        string_agg(format('r._to_%s%s', i.place, case when (f ->> 'given')::boolean
            then format(', r._new_%s', i.place) else '' end), ', ' order by i.place) as passed_on
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
            select string_agg(format('k%s.%I', k ->> 'place', i.name), ', ' order by (k ->> 'match')::integer)
            from jsonb_array_elements(p_spec -> 'keys') as k
            where k ->> 'match' is not null
        ), i.place), '' order by i.place) as found
    from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as i (name, place)
),
conflicts as (
    select string_agg(format(
        e',\n            k%1$s._found and %2$s as _conflict_%1$s',
        k ->> 'place', case when p_spec -> 'identity' = '[]' then 'true' else format('(%s) is distinct from (%s)', (
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
            else format('case when %s then p.%s else t.%s end', f ->> 'has', f ->> 'ident', f ->> 'ident')
        end, ', ' order by (f ->> 'attnum')::integer) as sent,
        string_agg('t.' || (f ->> 'ident') || case
            when f ->> 'domain' is not null then '::' || (f ->> 'base_type') else '' end,
            ', ' order by (f ->> 'attnum')::integer) as stored
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean and (f ->> 'writable')::boolean and not (f ->> 'is_key')::boolean
        and f ->> 'name' is distinct from p_spec ->> 'created_field'
),
faults as (
    select
        string_agg('            or ' || f.condition, e'\n') as conditions,
        string_agg(format(e'                case when %s\n                then %s end', f.condition, f.error), e',\n')
            as errors
    from sluice.sql_match_faults(p_spec) as f
)
select concat_ws(e'\n',
    format('insert into %s (_n, _via, _action, _errors%s)', p_spec ->> 'work', coalesce(', ' || i.list, '')),
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
    '        end as _action',
    '    from (',
    '    select p._n, p._via' || coalesce(', ' || i.passed, '') || coalesce((
        select string_agg(format(', p._list_%s', c ->> 'place'), '')
        from jsonb_array_elements(p_spec -> 'children') as c
    ), '') || ',',
    '        p._errors is not null or x._n is not null as _bad,',
    '        ' || case when c.sent is null then 'false'
        else format('row(%s)::record *<> row(%s)::record', c.sent, c.stored) end
        || ' as _changed,',
    '        case when (',
    '            false',
    coalesce(f.conditions, '') || e'\n        ) is not true then null',
    '        else sluice.present(array[',
    coalesce(f.errors, 'null::jsonb'),
    '        ]) end as _errors',
    '    from (',
    '        select p.*,',
    '            ' || case when k.via is null then 'null::integer'
            else format(e'case\n                %s\n            end', k.via) end || ' as _via'
        || case when k.via is null then (
            select coalesce(string_agg(format(e',\n            null::%s as _to_%s', f ->> 'base_type', n.place), ''), '')
            from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as n (name, place)
            inner join jsonb_array_elements(p_spec -> 'fields') as f on f ->> 'name' = n.name
        ) else coalesce(replace(d.found, '\n', e'\n'), '') end
        || coalesce(o.list, ''),
    format('        from %s as p', p_spec ->> 'plan'),
    sluice.sql_finders(p_spec),
    '        where p._n >= $1 and p._n < $2',
    '    ) as p',
    case when i.list is not null
        then format('    left join %s as t on %s', p_spec ->> 'table', i.here)
    else format('    left join %s as t on false', p_spec ->> 'table') end,
    format('    left join (select distinct e._n from %s as e) as x on p._n = x._n', p_spec ->> 'extra'),
    sluice.sql_late(p_spec),
    '    offset 0',
    '    ) as r',
    '    offset 0',
    ') as r',
    'where r._errors is not null or r._action <> ''='''
        || case when k.matching > 1 then ' or r._via > 1' else '' end
        || coalesce((
            select string_agg(format(' or r._list_%s', c ->> 'place'), '')
            from jsonb_array_elements(p_spec -> 'children') as c
        ), '')
        || case when (p_spec -> 'options' ->> 'results')::boolean then ' or r._action = ''=''' else '' end
)
from identity as i, keys as k, finders as d, conflicts as o, changed as c, faults as f;
end;
comment on function sluice.sql_match(jsonb) is
'The SQL of the match, $1, $2: record numbers from, to: each record finds its row by the keys in their order, is compared with it image by
 image, and gets an action: i insert, u update, = nothing (c, only its children change, is found afterwards). Only what has
 something to do, or to say, is written to the work table.';
