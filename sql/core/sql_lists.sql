-- The generator for children: lists of rows inside the records of their parent, merged by
-- replacing the list, with only the differences written.

create or replace function sluice.list_error(p_error jsonb, p_name text, p_i integer)
returns jsonb
language sql immutable parallel safe
return p_error || jsonb_build_object(
    'field', p_name || '[' || p_i || ']' || coalesce('.' || (p_error ->> 'field'), '')
);
comment on function sluice.list_error(jsonb, text, integer) is
'An error of an element of a list, its field as a path that counts from 0: addresses[1].city.';

create or replace function sluice.sql_elements(p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    '                select s._n, (e.place - 1)::integer as _i, e.item as _doc, e.item::text as _line,',
    '                    null::text as _malformed, null::text as _problem',
    '                from (',
    '                    select s._n, ' || case
        when p_child ->> 'cell' is not null then format(
            'case when pg_input_is_valid(%1$s, ''jsonb'') then %1$s::jsonb end', p_child ->> 'cell'
        )
        else format(
            'case when pg_input_is_valid(s.line, ''jsonb'') and s.line is json object then'
            ' coalesce(s.line::jsonb -> %1$L, sluice.fold_keys(s.line::jsonb, %2$L, %3$L) -> %1$L) end',
            p_child ->> 'name', p_child -> 'parent_names', p_child -> 'parent_folded'
        )
    end || ' as _list',
    format('                    from %s as s', p_child ->> 'stage'),
    '                    where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4',
    case when p_child ->> 'cell' is null then format(
        '                        and s.line ilike any (array[%s])', (
            select string_agg(distinct quote_literal('%' || replace(n.key, '_', '%') || '%'), ', ')
            from jsonb_each_text(p_child -> 'parent_names') as n
            where n.value = p_child ->> 'name'
        )
    ) end,
    '                    offset 0',
    '                ) as s',
    '                cross join lateral jsonb_array_elements(',
    '                    case when jsonb_typeof(s._list) = ''array'' then s._list else ''[]'' end',
    '                ) with ordinality as e (item, place)'
);
end;
comment on function sluice.sql_elements(jsonb) is
'SQL that reads the elements of the lists of a range of the stage: the record, the place, the element.';

create or replace function sluice.sql_list_key(p_child jsonb, p_left text, p_right text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select sluice.sql_same_row(p_child, p_left, p_right);
end;
comment on function sluice.sql_list_key(jsonb, text, text) is 'SQL that compares the keys of two child rows.';

create or replace function sluice.sql_list_match(p_spec jsonb, p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with fields as (
    select f, row_number() over (order by (f ->> 'attnum')::integer) as place
    from jsonb_array_elements(p_child -> 'fields') as f
    where (f ->> 'given')::boolean and (f ->> 'writable')::boolean and not (f ->> 'is_key')::boolean
),
parts as (
    select
        string_agg(format('coalesce(%s, false)::text', f ->> 'has'), ' || '' '' || ' order by place) as pattern,
        string_agg(format('case when %s then p.%s end', f ->> 'has', f ->> 'ident'), ', ' order by place) as sent,
        string_agg(format('case when split_part(o._pattern, '' '', %s) = ''true'' then e.%s%s end', place, f ->> 'ident',
            case when f ->> 'domain' is not null then '::' || (f ->> 'base_type') else '' end), ', ' order by place)
            as stored,
        string_agg(format('case when %s then p.%s else t.%s end', f ->> 'has', f ->> 'ident', f ->> 'ident'),
            ', ' order by place) as after,
        string_agg(format('t.%s%s', f ->> 'ident', case when f ->> 'domain' is not null
            then '::' || (f ->> 'base_type') else '' end), ', ' order by place) as before
    from fields
),
keys as (
    select
        string_agg(quote_ident(i.name), ', ') as list,
        string_agg('p.' || quote_ident(i.name), ', ') as sent,
        string_agg('t.' || quote_ident(i.name), ', ') as stored,
        string_agg('m.' || quote_ident(i.name), ', ') as matched,
        string_agg(format('p.%I is not null', i.name), ' and ') as given,
        min(quote_ident(i.name)) as first
    from jsonb_array_elements_text(p_child -> 'identity') as i (name)
),
place as (
    select quote_ident(p_child ->> 'position_field') as name
)
select concat_ws(e'\n',
    format('insert into %s (_n, _i, _action, %s)', p_child ->> 'work', k.list),
    'with lists as materialized (',
    format('    select w._n, w.%I as _parent', p_spec -> 'identity' ->> 0),
    format('    from %s as w', p_spec ->> 'work'),
    format('    inner join %s as p on p._n = w._n', p_spec ->> 'plan'),
    format('    where p._list_%s and w._action in (''i'', ''u'', ''='')', p_child ->> 'place'),
    format('        and not exists (select from %s as e where e._n = w._n)', p_spec ->> 'extra'),
    '),',
    'sent as materialized (',
    format('    select p._n, p._i, %s, %s as _given,', k.sent, k.given),
    format('        %s as _pattern, row(%s)::text as _image', s.pattern, s.sent),
    format('    from %s as p inner join lists as l on l._n = p._n', p_child ->> 'plan'),
    '),',
    'stored as materialized (',
    format('    select l._n, t.*'),
    format('    from lists as l inner join %s as t on t.%I = l._parent', p_child ->> 'table', p_child ->> 'parent_field'),
    '),',
    '-- by key, within the parent',
    'keyed as (',
    format('    select p._n, p._i, %s from sent as p', k.stored),
    format('    inner join stored as t on t._n = p._n and %s', sluice.sql_list_key(p_child, 't', 'p')),
    '),',
    '-- the others as a multiset of all that was sent',
    'paired as (',
    format('    select distinct on (%s) p._n, p._i, %s', k.stored, k.stored),
    '    from (',
    '        select p.*, row_number() over (partition by p._n, p._pattern, p._image order by p._i) as _turn',
    '        from sent as p where not p._given',
    '    ) as p',
    '    inner join (',
    format('        select e.*, o._pattern, row(%s)::text as _image,', s.stored),
    format('            row_number() over (partition by e._n, o._pattern, row(%s)::text order by %s) as _turn',
        s.stored, coalesce('e.' || pl.name || ', ', '') || 'e.' || k.first),
    '        from stored as e',
    '        inner join (select distinct p._n, p._pattern from sent as p where not p._given) as o on o._n = e._n',
    format('        where not exists (select from keyed as m where m._n = e._n and %s)',
        sluice.sql_list_key(p_child, 'm', 'e')),
    '    ) as t on t._n = p._n and t._pattern = p._pattern and t._image = p._image and t._turn = p._turn',
    format('    order by %s, p._i', k.stored),
    '),',
    'matched as (',
    '    select * from keyed union all select * from paired',
    ')',
    format('select p._n, p._i, case when m._n is null then ''i'' else ''u'' end, %s', k.matched),
    format('from %s as p', p_child ->> 'plan'),
    'inner join lists as l on l._n = p._n',
    'left join matched as m on m._n = p._n and m._i = p._i',
    format('left join stored as t on t._n = m._n and %s', sluice.sql_list_key(p_child, 't', 'm')),
    format('where m._n is null or row(%s)::record *<> row(%s)::record',
        concat_ws(', ', nullif(s.after, ''), case when pl.name is not null then '(p._i + 1)::integer' end),
        concat_ws(', ', nullif(s.before, ''), case when pl.name is not null then 't.' || pl.name || '::integer' end)),
    'union all',
    format('select t._n, null, ''d'', %s', k.stored),
    'from stored as t',
    format('where not exists (select from matched as m where m._n = t._n and %s)', sluice.sql_list_key(p_child, 'm', 't'))
)
from parts as s, keys as k, place as pl;
end;
comment on function sluice.sql_list_match(jsonb, jsonb) is
'The SQL that compares the lists sent with the rows stored: i insert, u update, d delete; equal rows are not
 mentioned.';

create or replace function sluice.sql_list_faults(p_spec jsonb, p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    format('select p._n, false, sluice.list_error(e.error, %L, p._i)', p_child ->> 'name'),
    format('from %s as p', p_child ->> 'plan'),
    format('inner join %s as d on d._n = p._n and d._i = p._i and d._action = ''i''', p_child ->> 'work'),
    'cross join lateral (',
    string_agg(f.fault, e'\n    union all\n'),
    ') as e (error)'
)
from (
    -- the key of a row of another parent, or of another element
    select format(
        '    select sluice.record_error(''conflict'', %L, null, ''belongs to another %s'', p.%I::text)'
        ' where %s and exists (select from %s as t where %s)',
        p_child -> 'identity' ->> 0, p_child ->> 'parent', p_child -> 'identity' ->> 0,
        (
            select string_agg(format('p.%I is not null', i), ' and ')
            from jsonb_array_elements_text(p_child -> 'identity') as i
        ),
        p_child ->> 'table', sluice.sql_list_key(p_child, 't', 'p')
    ) as fault
    union all
    select format(
        '    select sluice.record_error(''required'', %L, null, ''must be given for a new row'', null) where not (%s)',
        f ->> 'name', f ->> 'has'
    )
    from jsonb_array_elements(p_child -> 'fields') as f
    where (f ->> 'not_null')::boolean and f ->> 'default' is null and not (f ->> 'generated')::boolean
        and (f ->> 'given')::boolean
) as f;
end;
comment on function sluice.sql_list_faults(jsonb, jsonb) is
'The SQL that finds new elements that lack a required field or carry the key of another parent''s row.';

create or replace function sluice.sql_list_duplicates(p_spec jsonb, p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    format('select p._n, false, sluice.list_error(sluice.record_error(''duplicate'', %L, null,'
        ' ''another element of the file has the same key'', p.%I::text), %L, p._i)',
        p_child -> 'identity' ->> 0, p_child -> 'identity' ->> 0, p_child ->> 'name'),
    'from (',
    format('    select p.*, row_number() over (partition by %s order by p._n, p._i) as _turn', k.list),
    format('    from %s as p where %s', p_child ->> 'plan', k.given),
    ') as p',
    'where p._turn > 1'
)
from (
    select
        string_agg(format('p.%I', i), ', ') as list,
        string_agg(format('p.%I is not null', i), ' and ') as given
    from jsonb_array_elements_text(p_child -> 'identity') as i
) as k;
end;
comment on function sluice.sql_list_duplicates(jsonb, jsonb) is
'The SQL that finds elements with the key of an earlier element.';

create or replace function sluice.sql_list_writes(p_spec jsonb, p_child jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with source as (
    select concat_ws(e'\n',
        format('from %s as d', p_child ->> 'work'),
        format('inner join %s as w on w._n = d._n', p_spec ->> 'work')
    ) as joins,
    concat_ws(e'\n',
        format('where w._n >= $1 and w._n < $2 and w._action in (''i'', ''u'', ''c'')'),
        format('    and not exists (select from %s as e where e._n = w._n)', p_spec ->> 'extra')
    ) as chosen,
    format('inner join %s as p on p._n = d._n and p._i = d._i', p_child ->> 'plan') as plan
),
fields as (
    select
        string_agg(format('    %s = case when %s then p.%s else t.%s end', f ->> 'ident', f ->> 'has', f ->> 'ident', f ->> 'ident'),
            e',\n' order by (f ->> 'attnum')::integer)
            filter (where (f ->> 'given')::boolean and not (f ->> 'is_key')::boolean
                and f ->> 'name' is distinct from p_child ->> 'updated_field'
                and f ->> 'name' is distinct from p_child ->> 'created_field') as assignments,
        string_agg(f ->> 'ident', ', ' order by (f ->> 'attnum')::integer)
            filter (where (f ->> 'given')::boolean) as names,
        string_agg(case when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident') else format(
            'case when %s then p.%s else %s end', f ->> 'has', f ->> 'ident', coalesce(f ->> 'default', 'null')
        ) end, ', ' order by (f ->> 'attnum')::integer) filter (where (f ->> 'given')::boolean) as values
    from jsonb_array_elements(p_child -> 'fields') as f
    where (f ->> 'writable')::boolean
)
select jsonb_strip_nulls(jsonb_build_object(
    'delete', concat_ws(e'\n',
        format('delete from %s as t', p_child ->> 'table'),
        replace(s.joins, 'from ', 'using '),
        s.chosen,
        '    and d._action = ''d'' and ' || sluice.sql_list_key(p_child, 't', 'd')
    ),
    'update', concat_ws(e'\n',
        format('update %s as t', p_child ->> 'table'),
        'set',
        concat_ws(e',\n', f.assignments,
            case when p_child ->> 'position_field' is not null
                then format('    %I = d._i + 1', p_child ->> 'position_field') end,
            case when p_child ->> 'updated_field' is not null
                then format('    %1$I = coalesce(p.%1$I, now())', p_child ->> 'updated_field') end),
        s.joins,
        s.plan,
        s.chosen,
        '    and d._action = ''u'' and ' || sluice.sql_list_key(p_child, 't', 'd')
    ),
    'insert', concat_ws(e'\n',
        format('insert into %s (%s)', p_child ->> 'table', concat_ws(', ',
            quote_ident(p_child ->> 'parent_field'), quote_ident(p_child ->> 'position_field'), f.names)),
        'select ' || concat_ws(', ', format('w.%I', p_spec -> 'identity' ->> 0),
            case when p_child ->> 'position_field' is not null then 'd._i + 1' end, f.values),
        s.joins,
        s.plan,
        s.chosen,
        '    and d._action = ''i''',
        'order by d._n, d._i'
    )
))
from source as s, fields as f;
end;
comment on function sluice.sql_list_writes(jsonb, jsonb) is
'The SQL that writes the differences of a range''s lists: delete, update, insert.';

create or replace function sluice.list_statements(p_spec jsonb, p_child jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'name', p_child ->> 'name',
    'create_plan', sluice.sql_create_plan(p_child),
    'create_work', format(
        'create unlogged table %s (_n bigint not null, _i integer, _action "char" not null%s)'
        ' with (autovacuum_enabled = false)',
        p_child ->> 'work',
        (
            select string_agg(format(', %I %s', f ->> 'name', f ->> 'base_type'), '')
            from jsonb_array_elements(p_child -> 'fields') as f
            where (f ->> 'is_key')::boolean
        )
    ),
    'cast', sluice.sql_cast(p_child),
    'errors', format(
        e'insert into %s (_n, _dropped, _error)\nselect p._n, false, sluice.list_error(e.error, %L, p._i)\n'
        'from %s as p\ncross join lateral jsonb_array_elements(p._errors) as e (error)\nwhere p._errors is not null',
        p_spec ->> 'extra', p_child ->> 'name', p_child ->> 'plan'
    ),
    'duplicates', sluice.sql_list_duplicates(p_spec, p_child),
    'match', sluice.sql_list_match(p_spec, p_child),
    'faults', sluice.sql_list_faults(p_spec, p_child),
    'changes', format(
        e'update %s as w\nset _action = ''c''\nwhere w._action = ''=''\n'
        '    and exists (select from %s as d where d._n = w._n)', p_spec ->> 'work', p_child ->> 'work'
    )
) || sluice.sql_list_writes(p_spec, p_child);
end;
comment on function sluice.list_statements(jsonb, jsonb) is
'Every statement for the lists of one child resource, by name.';

create or replace function sluice.write_list(p_list jsonb, p_path text, p_from bigint, p_to bigint)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_counts jsonb := '{}';
    v_rows bigint;
    v_kind text;
begin
    -- the table's own code runs under its own path
    perform set_config('search_path', p_path, true);
    foreach v_kind in array '{delete,update,insert}'::pg_catalog.text[] loop
        execute p_list operator(pg_catalog.->>) v_kind using p_from, p_to;
        get diagnostics v_rows = row_count;
        v_counts := v_counts operator(pg_catalog.||) pg_catalog.jsonb_build_object(v_kind, v_rows);
    end loop;
    return v_counts;
end;
$$;
comment on function sluice.write_list(jsonb, text, bigint, bigint) is
'Writes the differences of the lists of a range of records; returns {"delete": n, "update": n, "insert": n}.';
