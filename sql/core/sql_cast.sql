-- The generator of the cast: each record of the stage into the plan, typed, with all
-- the errors that can be seen in the record itself, in one pass.

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
 differ; _key_<key>_<part> of expression keys; _takes_<key> of partial keys; _list_<child>; _unknown.';

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

create or replace function sluice.sql_cell(p_spec jsonb, p_field jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select case
    when p_field ->> 'kind' = 'array' and p_spec ->> 'source' <> 'csv' then format(
        'case jsonb_typeof(s._doc -> %1$L) when ''array'' then sluice.array_literal(s._doc -> %1$L, %2$L)'
        ' else s._doc ->> %1$L end', n.name, n.json
    )
    when p_spec ->> 'source' <> 'csv' then format('s._doc ->> %L', n.name)
    when p_field ->> 'kind' = 'array' then format('sluice.array_cell(%s, %L)', c.cell, n.json)
    when p_field ->> 'kind' = 'number' and p_spec -> 'options' ->> 'decimal' = ','
        then format('sluice.decimal_comma(%s)', c.cell)
    else c.cell
end
from (
    select p_field ->> 'name' as name, p_field ->> 'base_kind' is not distinct from 'json' as json
) as n
cross join lateral (
    select case
        when (p_spec -> 'options' ->> 'trim')::boolean
            then format('nullif(btrim(%s, e'' \t\u00a0''), '''')', p_field ->> 'cell')
        else p_field ->> 'cell'
    end as cell
) as c;
end;
comment on function sluice.sql_cell(jsonb, jsonb) is
'SQL for the text of a field as sent: a cell of the stage, or a value of the JSON record.';

create or replace function sluice.sql_typed(p_spec jsonb, p_field jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select case
    when p_field ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv' and p_field ->> 'domain' is null
        then format('nullif(s._doc -> %L, ''null'')%s', p_field ->> 'name',
            case when p_field ->> 'base_type' = 'json' then '::json' else '' end)
    when p_field ->> 'kind' = 'array' and p_spec ->> 'source' <> 'csv' then format(
        'case when jsonb_typeof(s._doc -> %4$L) <> ''object'' and pg_input_is_valid(%1$s, %2$L) then %1$s::%3$s end',
        c.cell, p_field ->> 'type', p_field ->> 'base_type', p_field ->> 'name'
    )
    when (p_field ->> 'plain_text')::boolean and p_spec ->> 'source' = 'csv' then c.cell
    when (p_field ->> 'plain_text')::boolean then format(
        -- a list or an object is no text; left() keeps the common case cheap
        'case when left(%1$s, 1) not in (''{'', ''['')'
        ' or jsonb_typeof(s._doc -> %2$L) = ''string'' then %1$s end', c.cell, p_field ->> 'name'
    )
    when p_field ->> 'kind' in ('text', 'composite') and p_spec ->> 'source' <> 'csv' then format(
        'case when (left(%1$s, 1) not in (''{'', ''['') or jsonb_typeof(s._doc -> %4$L) = ''string'')'
        ' and pg_input_is_valid(%1$s, %2$L) then %1$s::%3$s end',
        c.cell, p_field ->> 'type', p_field ->> 'base_type', p_field ->> 'name'
    )
    else format(
        'case when pg_input_is_valid(%1$s, %2$L) then %1$s::%3$s end',
        c.cell, p_field ->> 'type', p_field ->> 'base_type'
    )
end || coalesce(' collate ' || (p_field ->> 'collation'), '')
from (select 's.' || (p_field ->> 'text') as cell) as c;
end;
comment on function sluice.sql_typed(jsonb, jsonb) is
'SQL for the value of a field: its text cast to the base type when the declared type (domain and
 length included) accepts it, else null. A text that is there with a value that is not is a type error.';

create or replace function sluice.sql_bad_type(p_spec jsonb, p_field jsonb)
returns text
language sql immutable
return case
    when (p_field ->> 'plain_text')::boolean and p_spec ->> 'source' = 'csv' then null
    when p_field ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv'
        and p_field ->> 'domain' is null then null
    else format('p.%s is not null and p.%s is null', p_field ->> 'text', p_field ->> 'ident')
end;
comment on function sluice.sql_bad_type(jsonb, jsonb) is
'SQL that is true when a field''s type refused its text; null when it refuses none.';

create or replace function sluice.sql_faults(p_spec jsonb)
returns table (condition text, error text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with fields as (
    select f as field, (f ->> 'attnum')::integer as attnum, f ->> 'name' as name,
        f ->> 'ident' as ident, f ->> 'text' as cell, f ->> 'sent' as sent, sluice.sql_bad_type(p_spec, f) as bad,
        (f ->> 'not_null')::boolean and f ->> 'default' is null and (f ->> 'writable')::boolean as required
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean
),
faults as (
    -- types
    select 1 as part, f.attnum as place, f.bad as condition,
        format(
            'sluice.type_error(%L, p.%s, %L, %L)', f.name, f.cell, f.field ->> 'type',
            nullif(p_spec -> 'domain_messages', '{}')
        ) as error
    from fields as f
    where f.bad is not null
    union all
    -- an explicit null for a column that has neither null nor default
    select 2, f.attnum,
        case when p_spec ->> 'source' = 'csv'
            then format('p.%s is null and p.%s is null', f.ident, f.cell)
            else format('p.%s is null and p.%s and p.%s is null', f.ident, f.sent, f.cell)
        end,
        format('sluice.record_error(''required'', %L, null, ''must be given'', null)', f.name)
    from fields as f
    where f.required
    union all
    -- CHECKs over what the record has
    select 3, (c ->> 'place')::integer,
        format('j.check_%s is false', c ->> 'place')
        || coalesce(' and ' || (c ->> 'has_all'), '')
        || coalesce((
            select string_agg(
                case
                    when f.required then format(' and p.%s is not null', f.ident)
                    else format(' and not (%s)', f.bad)
                end, '' order by f.attnum
            )
            from fields as f
            where c -> 'columns' ? f.name and (f.bad is not null or f.required)
        ), ''),
        format(
            'sluice.record_error(''check'', %L, %L, %L, p.%I::text)', c ->> 'blame', c ->> 'name',
            coalesce(c ->> 'message', format('must satisfy %s', c ->> 'expr')), c ->> 'blame'
        )
    from jsonb_array_elements(p_spec -> 'checks') as c
    where (c ->> 'judged')::boolean and (c ->> 'early')::boolean
    union all
    -- references to other tables: the row must exist
    select 4, (r ->> 'place')::integer,
        s.given || format(
            ' and not exists (select from %s as k where %s)', r ->> 'target', s.equal
        ),
        format(
            'sluice.record_error(''reference'', %L, %L, %s, %s)', r -> 'columns' ->> -1, r ->> 'name',
            coalesce(
                quote_literal(r ->> 'message'),
                format('format(%L, %s)', s.message, s.values)
            ),
            format('p.%I::text', r -> 'columns' ->> -1)
        )
    from jsonb_array_elements(p_spec -> 'references') as r
    cross join lateral (
        select
            string_agg(format('p.%I is not null', l.name), ' and ' order by l.place) as given,
            string_agg(format('k.%I %s p.%I', r -> 'target_columns' ->> (l.place - 1)::integer,
                r -> 'operators' ->> (l.place - 1)::integer, l.name), ' and ' order by l.place) as equal,
            string_agg(format('p.%I', l.name), ', ' order by l.place) as values,
            format('no row of %s has %s', coalesce(r ->> 'resource', r ->> 'target'),
                string_agg(format('%I = %%s', r -> 'target_columns' ->> (l.place - 1)::integer),
                    ', ' order by l.place)) as message,
            bool_and(coalesce((f.field ->> 'given')::boolean, false)) as all_given
        from jsonb_array_elements_text(r -> 'columns') with ordinality as l (name, place)
        left join fields as f on f.name = l.name
    ) as s
    where s.all_given and not (r ->> 'is_self')::boolean
    union all
    select 5, (c ->> 'place')::integer, format('p._list_%1$s and not p._is_list_%1$s', c ->> 'place'), format(
        'sluice.record_error(''type'', %L, null, ''expected a JSON array of objects'', null)', c ->> 'name'
    )
    from jsonb_array_elements(
        case when p_spec ->> 'source' = 'child' then '[]' else p_spec -> 'children' end
    ) as c
    union all
    select 6, 0, 'p._unknown is not null', $$(
            select sluice.record_error(
                'unknown_field', u, null, 'is no field of $$ || (p_spec ->> 'resource') || $$', null
            )
            from unnest(p._unknown) as u limit 1
        )$$
    where p_spec ->> 'source' <> 'csv'
        and p_spec -> 'options' ->> 'unknown_fields' is distinct from 'ignore'
)
select f.condition, f.error
from faults as f
order by f.part, f.place;
end;
comment on function sluice.sql_faults(jsonb) is
'What may be wrong with a record by itself: SQL that is true when it is, and SQL of the error.';

create or replace function sluice.sql_by_attnum(p_spec jsonb, p_default text, p_parts jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select format('            array[%s]', string_agg(coalesce(p_parts ->> i::text, p_default), ', ' order by i))
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
        select sluice.stage_cell(p_spec ->> 'shape', (c ->> 'place')::integer, c ->> 'header') into v_raw
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
                select string_agg(format(e',\n            %s as _cell_list_%s', c ->> 'cell', c ->> 'place'), '')
                from jsonb_array_elements(p_spec -> 'children') as c
            ), '')
            || coalesce(e',\n' || v_cells, ''),
            format('        from %s as s', p_spec ->> 'stage'),
            '        where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4'
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
        '        select s._n,' || case when p_spec ->> 'source' = 'child' then ' s._i,' else '' end || ' s._doc,',
        '            case',
        '                when s._doc is not null and not s._doc ? ''_raw'' then null',
        case when p_spec ->> 'source' = 'child' then
        '                else sluice.record_error(''type'', null, null, ''expected an object'', s._line)'
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
        format('                from jsonb_object_keys(s._doc - array[%s]) as u (key)) as _unknown', v_known)
        || coalesce(e',\n' || v_cells, ''),
        '        from (',
        '            select s._n,' || case when p_spec ->> 'source' = 'child' then ' s._i,' else '' end
            || ' s._line, s._malformed, s._problem,',
        '                case',
        '                    when jsonb_typeof(s._doc) <> ''object'' then null',
        format('                    when s._doc - array[%s] = ''{}'' then s._doc', v_exact),
        format('                    else sluice.fold_keys(s._doc, %L, %L)', p_spec -> 'names', p_spec -> 'folded'),
        '                end as _doc',
        '            from (',
        case when p_spec ->> 'source' = 'child' then sluice.sql_elements(p_spec) else
        concat_ws(e'\n',
        '                select s._n, s.line as _line, s._malformed, s._problem,',
        '                    case when pg_input_is_valid(s.line, ''jsonb'') then s.line::jsonb end as _doc',
        format('                from %s as s', p_spec ->> 'stage'),
        '                where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4'
        ) end,
        '                offset 0',
        '            ) as s',
        '            offset 0',
        '        ) as s'
    );
end;
$$;
comment on function sluice.sql_source(jsonb) is
'SQL that reads records of the stage as texts, one _cell_<attnum> a given field, and _fault where the
 record is malformed. Each level that computes is fenced by offset 0, so that it computes once.';

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
            and not (f ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv' and f ->> 'domain' is null)
        union all
        select (f ->> 'attnum')::integer, 2,
            format('        s._doc ? %L as %s', f ->> 'name', f ->> 'sent')
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean and p_spec ->> 'source' <> 'csv' and not sluice.is_wide(p_spec)
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
            when p_spec ->> 'source' = 'csv' then format('s._cell_list_%1$s is json array', c ->> 'place')
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
            format(e'            case when %s\n            then %s end', f.condition, f.error), e',\n'
        ) as errors
    from sluice.sql_faults(p_spec) as f
),
columns as (
    select string_agg(c.name, ', ') as names, string_agg(c.source, ', ') as sources
    from sluice.sql_columns(p_spec) as c
)
select concat_ws(e'\n',
    format('insert into %s (', p_spec ->> 'plan'),
    '    _n, ' || case when p_spec ->> 'source' = 'child' then '_i, ' else '' end || c.names || ', _errors',
    ')',
    'select p._n, ' || case when p_spec ->> 'source' = 'child' then 'p._i, ' else '' end || c.sources || ',',
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
    '    select s._n, s._fault,' || case when p_spec ->> 'source' <> 'csv' then ' s._unknown,' else '' end
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
'The SQL that casts a range of the stage into the plan: $1, $2 blocks (tid), $3, $4 record numbers.';
