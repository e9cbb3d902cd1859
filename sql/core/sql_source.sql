-- How the cast reads records of the stage: CSV cells, or JSON with its keys made exact.

create or replace function sluice.sql_by_attnum(p_spec jsonb, p_default text, p_parts jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select format(
    '            array[%s]', string_agg(coalesce(p_parts ->> i::text, p_default), ', ' order by i)
)
from generate_series(
    1, (select max((f ->> 'attnum')::integer) from jsonb_array_elements(p_spec -> 'fields') as f)
) as i;
end;
comment on function sluice.sql_by_attnum(jsonb, text, jsonb) is
'SQL of an array that holds an expression of each field at the place of its attnum.';

create or replace function sluice.sql_source(p_spec jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known text;
    v_exact text;
    v_cells text;
    v_raw text;
begin
    select string_agg(format('            %s as %s', sluice.sql_cell(p_spec, f), f ->> 'text'),
        e',\n' order by (f ->> 'attnum')::integer)
    into v_cells
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean
        and not (f ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv' and f ->> 'domain' is null);
    if sluice.is_wide(p_spec) then
        v_cells := sluice.sql_by_attnum(p_spec, 'null::text', (
            select jsonb_object_agg(f ->> 'attnum', sluice.sql_cell(p_spec, f))
            from jsonb_array_elements(p_spec -> 'fields') as f
            where (f ->> 'given')::boolean
        )) || ' as _cells';
    end if;

    if p_spec ->> 'source' = 'csv' then
        select sluice.stage_cell(p_spec ->> 'shape', (c ->> 'place')::integer, c ->> 'header')
        into v_raw
        from jsonb_array_elements(p_spec -> 'columns') as c
        where c ->> 'field' = '_raw';
        return concat_ws(e'\n',
            '        select s._n,',
            '            case when s._malformed is not null then sluice.record_error(',
            '                ''malformed'', null, null, s._problem, s._malformed',
            '            )' || case
                when v_raw is null then ''
                else format(
                    e' when %s is not null then sluice.record_error(\n'
                    '                ''malformed'', null, null,'
                    ' ''was malformed before: mend its cells and empty _raw'', %s)', v_raw, v_raw
                ) end
            || ' end as _fault'
            || coalesce((
                select string_agg(
                    format(e',\n            %s as _cell_list_%s', c ->> 'cell', c ->> 'place'), ''
                )
                from jsonb_array_elements(p_spec -> 'children') as c
            ), '')
            || coalesce(e',\n' || v_cells, ''),
            format('        from %s as s', p_spec ->> 'stage'),
            '        where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4',
            '            and ($5 is null or s._n = any($5))'
        );
    end if;

    select
        string_agg(quote_literal(n), ', ' order by n),
        -- an exact name that the job maps elsewhere is not exact
        string_agg(quote_literal(n), ', ' order by n)
            filter (where p_spec -> 'names' ->> n is null or p_spec -> 'names' ->> n = n)
    into v_known, v_exact
    from (
        select f ->> 'name' as n
        from jsonb_array_elements(p_spec -> 'fields') as f
        union
        select c ->> 'name' from jsonb_array_elements(
            case when p_spec ->> 'source' = 'child' then '[]' else p_spec -> 'children' end
        ) as c
        union
        select unnest(array['_row', '_errors', '_raw', '_ignored'])
    ) as names;

    return concat_ws(e'\n',
        '        select s._n,'
        || case when p_spec ->> 'source' = 'child' then ' s._i,' else '' end || ' s._doc,',
        '            case',
        '                when s._doc is not null and not s._doc ? ''_raw'' then null',
        case when p_spec ->> 'source' = 'child' then
        '                else sluice.record_error('
        '''type'', null, null, ''expected an object'', s._line)'
        else
        '                when s._malformed is not null then sluice.record_error(
                    ''malformed'', null, null, s._problem, s._malformed
                )
                when s._doc is not null then sluice.record_error(
                    ''malformed'', null, null, ''was malformed before: mend it and take _raw away'',
                    s._line
                )
                when pg_input_is_valid(s._line, ''jsonb'') then sluice.record_error(
                    ''malformed'', null, null,
                    ''expected a JSON object, found '' || jsonb_typeof(s._line::jsonb), s._line
                )
                else sluice.record_error(''malformed'', null, null, (
                    select format(
                        ''not JSON that Postgres can hold (%s): mend it'',
                        rtrim(coalesce(i.detail, i.message), ''.'')
                    )
                    from pg_input_error_info(s._line, ''jsonb'') as i
                ), s._line)'
        end,
        '            end as _fault,',
        '            (select array_agg(u.key order by u.key)',
        format(
            '                from jsonb_object_keys(s._doc - array[%s]) as u (key)) as _unknown',
            v_known
        )
        || coalesce(e',\n' || v_cells, ''),
        '        from (',
        '            select s._n,'
            || case when p_spec ->> 'source' = 'child' then ' s._i,' else '' end
            || ' s._line, s._malformed, s._problem,',
        '                case',
        '                    when jsonb_typeof(s._doc) <> ''object'' then null',
        format('                    when s._doc - array[%s] = ''{}'' then s._doc', v_exact),
        format(
            '                    else sluice.fold_keys(s._doc, %L, %L)',
            p_spec -> 'names', p_spec -> 'folded'
        ),
        '                end as _doc',
        '            from (',
        case when p_spec ->> 'source' = 'child' then sluice.sql_elements(p_spec) else
        concat_ws(e'\n',
        '                select s._n, s.line as _line, s._malformed, s._problem,',
        '                    case when pg_input_is_valid(s.line, ''jsonb'')'
        ' then s.line::jsonb end as _doc',
        format('                from %s as s', p_spec ->> 'stage'),
        '                where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4',
        '                    and ($5 is null or s._n = any($5))'
        ) end,
        '                offset 0',
        '            ) as s',
        '            offset 0',
        '        ) as s'
    );
end;
$$;
comment on function sluice.sql_source(jsonb) is
'SQL that reads records of the stage as texts, one _cell_<attnum> a given field, and _fault where
 the record is malformed. Each level that computes is fenced by offset 0, so that it computes
 once.';
