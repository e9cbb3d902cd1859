-- SQL of one field of a record: its text, its value, and whether its type refused it.

create or replace function sluice.sql_cell(p_spec jsonb, p_field jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select case
    when p_field ->> 'kind' = 'array' and p_spec ->> 'source' <> 'csv' then format(
        'case jsonb_typeof(s._doc -> %1$L)'
        ' when ''array'' then sluice.array_literal(s._doc -> %1$L, %2$L)'
        ' else s._doc ->> %1$L end', n.name, n.json
    )
    when p_spec ->> 'source' <> 'csv' then format('s._doc ->> %L', n.name)
    when p_field ->> 'kind' = 'array' then format('sluice.array_cell(%s, %L)', c.cell, n.json)
    when p_field ->> 'kind' = 'number' and p_spec -> 'options' ->> 'decimal' = ','
        then format('sluice.decimal_comma(%s)', c.cell)
    else c.cell
end
from (
    select p_field ->> 'name' as name, coalesce(p_field ->> 'base_kind' = 'json', false) as json
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
    when p_field ->> 'kind' = 'json' and p_spec ->> 'source' <> 'csv'
        and p_field ->> 'domain' is null
        then format('nullif(s._doc -> %L, ''null'')%s', p_field ->> 'name',
            case when p_field ->> 'base_type' = 'json' then '::json' else '' end)
    when p_field ->> 'kind' = 'array' and p_spec ->> 'source' <> 'csv' then format(
        'case when jsonb_typeof(s._doc -> %4$L) <> ''object'''
        ' and pg_input_is_valid(%1$s, %2$L) then %1$s::%3$s end',
        c.cell, p_field ->> 'type', p_field ->> 'base_type', p_field ->> 'name'
    )
    when (p_field ->> 'plain_text')::boolean and p_spec ->> 'source' = 'csv' then c.cell
    when (p_field ->> 'plain_text')::boolean then format(
        -- a list or an object is no text; left() keeps the common case cheap
        'case when left(%1$s, 1) not in (''{'', ''['')'
        ' or jsonb_typeof(s._doc -> %2$L) = ''string'' then %1$s end', c.cell, p_field ->> 'name'
    )
    when p_field ->> 'kind' in ('text', 'composite') and p_spec ->> 'source' <> 'csv' then format(
        'case when (left(%1$s, 1) not in (''{'', ''['')'
        ' or jsonb_typeof(s._doc -> %4$L) = ''string'')'
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
 length included) accepts it, else null. A text that is there with a value that is not is a type
 error.';

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
