-- SQL over keys: their parts in a record, when two are the same, and when one binds.

create or replace function sluice.sql_parts(p_key jsonb, p_alias text)
returns text[]
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

create or replace function sluice.sql_same_key(p_key jsonb, p_left text[], p_right text[])
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
comment on function sluice.sql_same_key(jsonb, text[], text[]) is
'SQL that compares the parts of two keys by the operators of their own index.';

create or replace function sluice.sql_same_row(p_spec jsonb, p_left text, p_right text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select string_agg(
    format(
        '%s.%I %s %s.%I', p_left, i.name,
        p_spec -> 'identity_operators' ->> (i.place - 1)::integer, p_right, i.name
    ),
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
    -- a record that lacks a field has no value of an expression over it,
    -- and no null that could be equal
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
'SQL that is true when a key binds a record p of the plan: its predicate holds, the record has all
 of it, and no part is null.';
