-- The errors of elements of lists that show only against the file and the target.

create or replace function sluice.list_error(p_error jsonb, p_name text, p_i integer)
returns jsonb
language sql immutable parallel safe
return p_error || jsonb_build_object(
    'field', p_name || '[' || p_i || ']' || coalesce('.' || (p_error ->> 'field'), '')
);
comment on function sluice.list_error(jsonb, text, integer) is
'An error of an element of a list, its field as a path that counts from 0: addresses[1].city.';

create or replace function sluice.sql_list_faults(p_spec jsonb, p_child jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select concat_ws(e'\n',
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    format('select p._n, false, sluice.list_error(e.error, %L, p._i)', p_child ->> 'name'),
    format('from %s as p', p_child ->> 'plan'),
    format(
        'inner join %s as d on d._n = p._n and d._i = p._i and d._action = ''i''',
        p_child ->> 'work'
    ),
    'cross join lateral (',
    string_agg(f.fault, e'\n    union all\n'),
    ') as e (error)'
)
from (
    -- the key of a row of another parent, or of another element
    select format(
        '    select sluice.record_error('
        '''conflict'', %L, null, ''belongs to another %s'', p.%I::text)'
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
        '    select sluice.record_error('
        '''required'', %L, null, ''must be given for a new row'', null) where not (%s)',
        f ->> 'name', f ->> 'has'
    )
    from jsonb_array_elements(p_child -> 'fields') as f
    where (f ->> 'not_null')::boolean and f ->> 'default' is null
        and not (f ->> 'generated')::boolean
        and (f ->> 'given')::boolean
) as f;
end;
comment on function sluice.sql_list_faults(jsonb, jsonb) is
'The SQL that finds new elements that lack a required field or carry the key of another parent''s
 row.';

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
    format(
        '    select p.*, row_number() over (partition by %s order by p._n, p._i) as _turn', k.list
    ),
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
