-- The generator of the match of children: the lists that records hold, read from the
-- stage and compared with the rows stored.

create or replace function sluice.sql_elements(p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    '                select s._n, (e.place - 1)::integer as _i, e.item as _doc,'
    ' e.item::text as _line,',
    '                    null::text as _malformed, null::text as _problem',
    '                from (',
    '                    select s._n, ' || case
        when p_child ->> 'cell' is not null then format(
            'case when pg_input_is_valid(%1$s, ''jsonb'') then %1$s::jsonb end', p_child ->> 'cell'
        )
        else format(
            'case when pg_input_is_valid(s.line, ''jsonb'') and s.line is json object then'
            ' coalesce(s.line::jsonb -> %1$L,'
            ' sluice.fold_keys(s.line::jsonb, %2$L, %3$L) -> %1$L) end',
            p_child ->> 'name', p_child -> 'parent_names', p_child -> 'parent_folded'
        )
    end || ' as _list',
    format('                    from %s as s', p_child ->> 'stage'),
    '                    where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4',
    '                        and ($5 is null or s._n = any($5))',
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
'SQL that reads the elements of the lists of a range of the stage: the record, the place, the
 element.';

create or replace function sluice.sql_list_key(p_child jsonb, p_left text, p_right text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select sluice.sql_same_row(p_child, p_left, p_right);
end;
comment on function sluice.sql_list_key(jsonb, text, text) is
'SQL that compares the keys of two child rows.';

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
        string_agg(
            format('coalesce(%s, false)::text', f ->> 'has'), ' || '' '' || ' order by place
        ) as pattern,
        string_agg(
            format('case when %s then p.%s end', f ->> 'has', f ->> 'ident'), ', ' order by place
        ) as sent,
        string_agg(
            format(
                'case when split_part(o._pattern, '' '', %s) = ''true'' then e.%s%s end',
                place, f ->> 'ident',
                case when f ->> 'domain' is not null then '::' || (f ->> 'base_type') else '' end
            ), ', ' order by place
        ) as stored,
        string_agg(
            format(
                'case when %s then p.%s else t.%s end', f ->> 'has', f ->> 'ident', f ->> 'ident'
            ), ', ' order by place
        ) as after,
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
    format(
        '    from lists as l inner join %s as t on t.%I = l._parent',
        p_child ->> 'table', p_child ->> 'parent_field'
    ),
    '),',
    '-- by key, within the parent',
    'keyed as (',
    format('    select p._n, p._i, %s from sent as p', k.stored),
    format(
        '    inner join stored as t on t._n = p._n and %s', sluice.sql_list_key(p_child, 't', 'p')
    ),
    '),',
    '-- the others as a multiset of all that was sent',
    'paired as (',
    format('    select distinct on (%s) p._n, p._i, %s', k.stored, k.stored),
    '    from (',
    '        select p.*, row_number() over ('
    'partition by p._n, p._pattern, p._image order by p._i) as _turn',
    '        from sent as p where not p._given',
    '    ) as p',
    '    inner join (',
    format('        select e.*, o._pattern, row(%s)::text as _image,', s.stored),
    format(
        '            row_number() over ('
        'partition by e._n, o._pattern, row(%s)::text order by %s) as _turn',
        s.stored, coalesce('e.' || pl.name || ', ', '') || 'e.' || k.first
    ),
    '        from stored as e',
    '        inner join (select distinct p._n, p._pattern from sent as p where not p._given) as o'
    ' on o._n = e._n',
    format('        where not exists (select from keyed as m where m._n = e._n and %s)',
        sluice.sql_list_key(p_child, 'm', 'e')),
    '    ) as t on t._n = p._n and t._pattern = p._pattern'
    ' and t._image = p._image and t._turn = p._turn',
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
    format(
        'where m._n is null or row(%s)::record *<> row(%s)::record',
        concat_ws(
            ', ', nullif(s.after, ''),
            case when pl.name is not null then '(p._i + 1)::integer' end
        ),
        concat_ws(
            ', ', nullif(s.before, ''),
            case when pl.name is not null then 't.' || pl.name || '::integer' end
        )
    ),
    'union all',
    format('select t._n, null, ''d'', %s', k.stored),
    'from stored as t',
    format(
        'where not exists (select from matched as m where m._n = t._n and %s)',
        sluice.sql_list_key(p_child, 'm', 't')
    )
)
from parts as s, keys as k, place as pl;
end;
comment on function sluice.sql_list_match(jsonb, jsonb) is
'The SQL that compares the lists sent with the rows stored: i insert, u update, d delete; equal rows
 are not mentioned.';
