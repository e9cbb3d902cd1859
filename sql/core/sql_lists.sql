-- The generator for children: lists of rows inside the records of their parent, merged by
-- replacing the list, with only the differences written.

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
        string_agg(
            format(
                '    %s = case when %s then p.%s else t.%s end',
                f ->> 'ident', f ->> 'has', f ->> 'ident', f ->> 'ident'
            ), e',\n' order by (f ->> 'attnum')::integer
        )
            filter (where (f ->> 'given')::boolean and not (f ->> 'is_key')::boolean
                and f ->> 'name' is distinct from p_child ->> 'updated_field'
                and f ->> 'name' is distinct from p_child ->> 'created_field') as assignments,
        string_agg(f ->> 'ident', ', ' order by (f ->> 'attnum')::integer)
            filter (where (f ->> 'given')::boolean) as names,
        string_agg(case when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident') else format(
            'case when %s then p.%s else %s end',
            f ->> 'has', f ->> 'ident', coalesce(f ->> 'default', 'null')
        ) end, ', ' order by (f ->> 'attnum')::integer)
            filter (where (f ->> 'given')::boolean) as values
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
            quote_ident(p_child ->> 'parent_field'),
            quote_ident(p_child ->> 'position_field'), f.names)),
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
        e'insert into %s (_n, _dropped, _error)\n'
        'select p._n, false, sluice.list_error(e.error, %L, p._i)\n'
        'from %s as p\ncross join lateral jsonb_array_elements(p._errors) as e (error)\n'
        'where p._errors is not null',
        p_spec ->> 'extra', p_child ->> 'name', p_child ->> 'plan'
    ),
    'duplicates', sluice.sql_list_duplicates(p_spec, p_child),
    'match', sluice.sql_list_match(p_spec, p_child),
    'faults', sluice.sql_list_faults(p_spec, p_child),
    'changes', format(
        e'update %s as w\nset _action = ''c''\nwhere w._action = ''=''\n'
        '    and exists (select from %s as d where d._n = w._n)',
        p_spec ->> 'work', p_child ->> 'work'
    )
) || sluice.sql_list_writes(p_spec, p_child);
end;
comment on function sluice.list_statements(jsonb, jsonb) is
'Every statement for the lists of one child resource, by name.';

create or replace function sluice.write_list(
    p_list jsonb, p_path text, p_role text, p_from bigint, p_to bigint
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_counts jsonb := '{}';
    v_rows bigint;
    v_kind text;
    v_own constant text := current_setting('role');
begin
    -- the table's own code runs under its own path
    perform set_config('search_path', p_path, true);
    perform pg_catalog.set_config('role', p_role, true);
    foreach v_kind in array '{delete,update,insert}'::pg_catalog.text[] loop
        execute p_list operator(pg_catalog.->>) v_kind using p_from, p_to;
        get diagnostics v_rows = row_count;
        v_counts := v_counts operator(pg_catalog.||) pg_catalog.jsonb_build_object(v_kind, v_rows);
    end loop;
    perform pg_catalog.set_config('role', v_own, true);
    return v_counts;
end;
$$;
comment on function sluice.write_list(jsonb, text, text, bigint, bigint) is
'Writes the differences of the lists of a range of records; returns
 {"delete": n, "update": n, "insert": n}.';
