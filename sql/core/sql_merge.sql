-- The generator of the merge: the plan's rows into the target. $1, $2: record numbers from, to.

create or replace function sluice.sql_insert(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with columns as (
    select
        string_agg(f ->> 'ident', ', ' order by (f ->> 'attnum')::integer) as names,
        string_agg('    ' || case
            -- the key was settled by the match, its default evaluated once
            when (f ->> 'is_key')::boolean and sluice.is_implied(p_spec)
                then format('coalesce(p.%1$s, w.%1$s)', f ->> 'ident')
            when (f ->> 'is_key')::boolean then 'w.' || (f ->> 'ident')
            when not (f ->> 'given')::boolean then coalesce(f ->> 'default', 'null')
            when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident')
            else format('case when %s then p.%s else %s end', f ->> 'has', f ->> 'ident',
                coalesce(f ->> 'default', 'null'))
        end, e',\n' order by (f ->> 'attnum')::integer) as values,
        bool_or(f ->> 'identity' = 'a') as overriding
    from jsonb_array_elements(p_spec -> 'fields') as f
    where
        ((f ->> 'is_key')::boolean and not (f ->> 'generated')::boolean)
        or (
            (f ->> 'writable')::boolean
            and ((f ->> 'given')::boolean or (f ->> 'job_default')::boolean)
        )
)
select concat_ws(e'\n',
    case when c.names is null then format('insert into %s default values', p_spec ->> 'table')
    else concat_ws(e'\n',
        format('insert into %s (', p_spec ->> 'table'),
        '    ' || c.names,
        ')',
        case when c.overriding then 'overriding system value' end,
        'select',
        c.values,
        format('from %s as p', p_spec ->> 'plan'),
        case when sluice.is_implied(p_spec) then 'left' else 'inner' end
        || format(' join %s as w on w._n = p._n and w._n >= $1 and w._n < $2', p_spec ->> 'work'),
        'where ' || case
            when sluice.is_implied(p_spec) then sluice.sql_is_to_do(p_spec, '{i}')
            else format(
                e'p._n >= $1 and p._n < $2 and p._errors is null and w._action = ''i''\n'
                '    and not exists (select from %s as e'
                ' where e._n = p._n and e._n >= $1 and e._n < $2)', p_spec ->> 'extra'
            ) end,
        'order by p._n'
    ) end
)
from columns as c;
end;
comment on function sluice.sql_insert(jsonb) is
'The SQL that inserts the new rows of a range: a missing field, or a null for a column that is not
 null and has a default, takes the default.';

create or replace function sluice.sql_update(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with assignments as (
    select string_agg(format('    %s = %s', f ->> 'ident', case
        when f ->> 'name' = p_spec ->> 'updated_field' and not (f ->> 'given')::boolean then 'now()'
        when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident')
        when f ->> 'name' = p_spec ->> 'updated_field'
            then format('case when %s then p.%s else now() end', f ->> 'has', f ->> 'ident')
        else format(
            'case when %s then p.%s else t.%s end', f ->> 'has', f ->> 'ident', f ->> 'ident'
        )
    end), e',\n' order by (f ->> 'attnum')::integer) as list
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'writable')::boolean and not (f ->> 'is_key')::boolean
        and f ->> 'name' is distinct from p_spec ->> 'created_field'
        and ((f ->> 'given')::boolean or f ->> 'name' = p_spec ->> 'updated_field')
)
select concat_ws(e'\n',
    format('update %s as t', p_spec ->> 'table'),
    'set',
    a.list,
    format('from %s as w', p_spec ->> 'work'),
    format('inner join %s as p on p._n = w._n and p._n >= $1 and p._n < $2', p_spec ->> 'plan'),
    'where w._n >= $1 and w._n < $2 and w._action = ''u''',
    format(
        '    and not exists (select from %s as e where e._n = w._n and e._n >= $1 and e._n < $2)',
        p_spec ->> 'extra'
    ),
    '    and ' || sluice.sql_same_row(p_spec, 't', 'w'),
    -- the row must still be the one that the match found
    (
        select string_agg(format('    and (w._via <> %s or (%s))', k ->> 'match', (
            select string_agg(format('t.%I %s %s', t.part ->> 'column', t.part ->> 'operator',
                (sluice.sql_parts(k, 'p'))[t.place]), ' and ' order by t.place)
            from jsonb_array_elements(k -> 'parts') with ordinality as t (part, place)
        )), e'\n' order by (k ->> 'match')::integer)
        from jsonb_array_elements(p_spec -> 'keys') as k
        where k ->> 'match' is not null and not (k ->> 'is_primary')::boolean
            and not (k ->> 'nulls_not_distinct')::boolean
            and not jsonb_path_exists(k, '$.parts[*] ? (@.column == null)')
    )
)
from assignments as a
where a.list is not null;
end;
comment on function sluice.sql_update(jsonb) is
'The SQL that updates the changed rows of a range by primary key, if each is still the row that was
 matched: a field that the record does not have stays as it is.';

create or replace function sluice.sql_fallback_conflicts(p_spec jsonb, p_key jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- of two records with one target row the later one is the conflict: rows found by a
-- later key are looked up again by an earlier one
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    'select greatest(w._n, p._n), false, sluice.record_error(',
    format('    ''conflict'', %L, %L,', p_key -> 'named' ->> -1, p_key ->> 'name'),
    '    format(''record %s is for the same row'', least(w._n, p._n)), null',
    ')',
    format('from %s as w', p_spec ->> 'work'),
    format('inner join (select %s%s from %s%s) as k on %s',
        (
            select string_agg(quote_ident(n), ', ')
            from jsonb_array_elements_text(p_spec -> 'identity') as n
        ),
        (
            select string_agg(
                format(
                    ', (%s)%s as _part_%s', t.part ->> 'expr',
                    coalesce(' collate ' || (t.part ->> 'collation'), ''), t.place
                ), '' order by t.place
            )
            from jsonb_array_elements(p_key -> 'parts') with ordinality as t (part, place)
        ),
        p_spec ->> 'table',
        coalesce(' where ' || (p_key ->> 'predicate'), ''),
        sluice.sql_same_row(p_spec, 'k', 'w')
    ),
    format('inner join %s as p on %s and %s', p_spec ->> 'plan', sluice.sql_same_key(p_key, array(
        select format('k._part_%s', i)
        from generate_series(1, jsonb_array_length(p_key -> 'parts')) as i
        order by i
    ), sluice.sql_parts(p_key, 'p')), sluice.sql_takes_part(p_spec, p_key)),
    format('where w._via > %s and w._errors is null and w._action is not null', p_key ->> 'match'),
    '    and p._n <> w._n and p._errors is null',
    format(
        '    and not exists (select from %s as e where e._n in (w._n, p._n))', p_spec ->> 'extra'
    ),
    format(
        '    and not exists (select from %s as x where x._n = p._n and x._errors is not null)',
        p_spec ->> 'work'
    )
);
end;
comment on function sluice.sql_fallback_conflicts(jsonb, jsonb) is
'The SQL that finds records which have one target row by different keys.';

create or replace function sluice.sql_self_references(p_spec jsonb, p_reference jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- a parent may stand in the table or be a good record of the file; asked again until
-- nothing falls, a record falls with the parent that it needs
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    'select p._n, false, sluice.record_error(',
    format(
        '    ''reference'', %L, %L, %L, p.%I::text',
        p_reference -> 'columns' ->> -1, p_reference ->> 'name',
        coalesce(
            p_reference ->> 'message',
            format('no row of %s and no good record of the file has it', p_spec ->> 'resource')
        ), p_reference -> 'columns' ->> -1
    ),
    ')',
    format('from %s as p', p_spec ->> 'plan'),
    'where p._errors is null and ' || c.given,
    format('    and not exists (select from %s as e where e._n = p._n)', p_spec ->> 'extra'),
    format('    and not exists (select from %s as k where %s)', p_spec ->> 'table', c.in_table),
    case when c.all_given then concat_ws(e'\n',
    '    and not exists (',
    format('        select from %s as o', p_spec ->> 'plan'),
    format('        where %s and o._errors is null', c.in_file),
    format(
        '            and not exists (select from %s as e where e._n = o._n)', p_spec ->> 'extra'
    ),
    format(
        '            and not exists (select from %s as w'
        ' where w._n = o._n and w._errors is not null)', p_spec ->> 'work'
    ),
    '    )') end
)
from (
    select
        string_agg(format('p.%I is not null', l.name), ' and ') as given,
        string_agg(format('k.%I %s p.%I', r.target, r.operator, l.name), ' and ') as in_table,
        string_agg(format('o.%I %s p.%I', r.target, r.operator, l.name), ' and ') as in_file,
        bool_and((f ->> 'given')::boolean) as all_given,
        bool_and((g ->> 'given')::boolean) as judged
    from jsonb_array_elements_text(p_reference -> 'columns') with ordinality as l (name, place)
    cross join lateral (
        select p_reference -> 'target_columns' ->> (l.place - 1)::integer as target,
            p_reference -> 'operators' ->> (l.place - 1)::integer as operator
    ) as r
    inner join jsonb_array_elements(p_spec -> 'fields') as f on f ->> 'name' = r.target
    inner join jsonb_array_elements(p_spec -> 'fields') as g on g ->> 'name' = l.name
) as c
where c.judged;
end;
comment on function sluice.sql_self_references(jsonb, jsonb) is
'The SQL that finds records whose parent, of the same table, is nowhere; null when the file cannot
 tell.';

create or replace function sluice.sql_sample(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    'select coalesce(jsonb_agg(jsonb_build_object('
    '''row'', s._n, ''action'', ''update'', ''before'', s.before, ''after'', s.after)'
    ' order by s._n), ''[]'')',
    'from (',
    '    select w._n,',
    '        (select to_jsonb(x) from (select ' || f.before || ') as x) as before,',
    '        (select to_jsonb(x) from (select ' || f.after || ') as x) as after',
    format('    from %s as w', p_spec ->> 'work'),
    format('    inner join %s as p on p._n = w._n', p_spec ->> 'plan'),
    format(
        '    inner join %s as t on %s', p_spec ->> 'table', sluice.sql_same_row(p_spec, 't', 'w')
    ),
    '    where w._action = ''u''',
    format('        and not exists (select from %s as e where e._n = w._n)', p_spec ->> 'extra'),
    '    order by w._n',
    '    limit 20',
    ') as s'
)
from (
    select
        string_agg('t.' || (x ->> 'ident'), ', ' order by (x ->> 'attnum')::integer) as before,
        string_agg(case
            when x ->> 'has' = 'true' then 'p.' || (x ->> 'ident')
            else format(
                'case when %s then p.%s else t.%s end as %s',
                x ->> 'has', x ->> 'ident', x ->> 'ident', x ->> 'ident'
            )
        end, ', ' order by (x ->> 'attnum')::integer) as after
    from jsonb_array_elements(p_spec -> 'fields') as x
    where (x ->> 'given')::boolean and (x ->> 'writable')::boolean and not (x ->> 'is_key')::boolean
        and x ->> 'name' is distinct from p_spec ->> 'created_field'
) as f
where f.before is not null and p_spec -> 'identity' <> '[]';
end;
comment on function sluice.sql_sample(jsonb) is
'The SQL of a dry run''s sample: the first 20 rows that would change, before and after.';
