-- Errors of records are data: one jsonb object each.

create or replace function sluice.record_error(
    p_code text, p_field text, p_constraint text, p_message text, p_value text,
    p_sqlstate text default null
)
returns jsonb
language sql immutable parallel safe
return jsonb_build_object(
    'field', p_field, 'code', p_code, 'constraint', p_constraint, 'message', p_message,
    'value', case when length(p_value) > 1000 then left(p_value, 1000) || '…' else p_value end
) || case
    when p_sqlstate is null then '{}'::jsonb
    else jsonb_build_object('sqlstate', p_sqlstate)
end;
comment on function sluice.record_error(text, text, text, text, text, text) is
'One error of a record: code, field, constraint or rule, message, value (its first 1,000
 characters) and, where only Postgres could tell, the SQLSTATE.';

create or replace function sluice.type_error(
    p_field text, p_value text, p_type text, p_messages jsonb
)
returns jsonb
language sql stable parallel safe
begin atomic
select case
    -- a domain's own constraints are checks: its type accepts the text
    when i.sql_error_code = '23514' then sluice.record_error(
        'check', p_field, d.name, coalesce(p_messages ->> d.name, i.message), p_value
    )
    when i.sql_error_code = '23502' then sluice.record_error(
        'required', p_field, null, i.message, p_value
    )
    else sluice.record_error(
        'type', p_field, null, coalesce(
            i.message || coalesce(': ' || i.detail, ''),
            format('expected a value of type %s', p_type)
        ), p_value
    )
end
from pg_input_error_info(p_value, p_type) as i
cross join lateral (select substring(i.message from 'constraint "(.*)"$') as name) as d;
end;
comment on function sluice.type_error(text, text, text, jsonb) is
'The error of a text that its type does not accept, in Postgres''s own words;
 p_messages: comments of the constraints of domains, by name.';

create or replace function sluice.present(p_errors jsonb[])
returns jsonb
language sql immutable parallel safe
return (select jsonb_agg(e) from unnest(p_errors) as e where e is not null);
comment on function sluice.present(jsonb[]) is
'The errors that are there, as one array; null when there is none.';

create or replace function sluice.array_literal(p_list jsonb, p_json boolean default false)
returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    -- without brackets, braces and escapes inside, JSON and the array literal
    -- differ in the outer brackets alone
    if not p_json and p_list::text ~ '^\[[^][{}\\]*\]$' then
        return '{' || substr(p_list::text, 2, length(p_list::text) - 2) || '}';
    end if;
    return '{' || coalesce((
        select string_agg(
            case
                when jsonb_typeof(e.item) = 'null' then 'NULL'
                when not p_json and jsonb_typeof(e.item) = 'array'
                    then sluice.array_literal(e.item)
                else '"' || replace(replace(
                    case when p_json then e.item::text else e.item #>> '{}' end,
                    '\', '\\'
                ), '"', '\"') || '"'
            end, ',' order by e.place
        )
        from jsonb_array_elements(p_list) with ordinality as e (item, place)
    ), '') || '}';
end;
$$;
comment on function sluice.array_literal(jsonb, boolean) is
'A JSON array as a Postgres array literal, to any depth; p_json: its elements are JSON themselves.
 https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO';

create or replace function sluice.array_cell(p_cell text, p_json boolean default false)
returns text
language sql immutable parallel safe
return case
    when left(ltrim(p_cell), 1) = '[' and p_cell is json array
        then sluice.array_literal(p_cell::jsonb, p_json)
    else p_cell
end;
comment on function sluice.array_cell(text, boolean) is
'A cell that holds an array, as JSON or as a Postgres literal, as a Postgres literal.';

create or replace function sluice.decimal_comma(p_cell text)
returns text
language sql immutable parallel safe
return case
    -- 1.234.567,89 and 1 234 567,89; a lone point is no thousands mark
    when p_cell ~ '^\s*[+-]?\d{1,3}([.  '']\d{3})+(,\d*)?\s*$'
        then replace(regexp_replace(p_cell, '[.  '']', '', 'g'), ',', '.')
    when strpos(p_cell, '.') > 0 then p_cell || ' is not written with a decimal comma'
    else replace(p_cell, ',', '.')
end;
comment on function sluice.decimal_comma(text) is
'A number written with a decimal comma and points, spaces or apostrophes between thousands,
 as Postgres writes it; a number with a decimal point becomes a text that no number type takes.';

create or replace function sluice.fold_name(p_name text)
returns text
language sql immutable parallel safe
return lower(regexp_replace(
    regexp_replace(btrim(p_name), '([a-z0-9])([A-Z])', '\1_\2', 'g'),
    '[\s_.-]+', '_', 'g'
));
comment on function sluice.fold_name(text) is
'A name without case, camelCase, spaces, dots and hyphens: "Author Id", authorId -> author_id.';

create or replace function sluice.nearest_name(p_name text, p_names text[])
returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
-- pairs of letters in common, by Dice: good enough to find a slip of the pen
select n.name
from unnest(p_names) as n (name)
cross join lateral (
    select
        count(*) filter (where strpos(lower(n.name), g.pair) > 0) * 2.0
        / (length(p_name) + length(n.name)) as likeness
    from generate_series(1, greatest(length(p_name) - 1, 1)) as i
    cross join lateral (select substr(lower(p_name), i, 2) as pair) as g
) as l
where l.likeness >= 0.2
order by l.likeness desc, n.name asc
limit 1;
end;
comment on function sluice.nearest_name(text, text[]) is
'The name of the list that is most like the given one; null when none is.';

create or replace function sluice.fold_keys(p_doc jsonb, p_names jsonb, p_folded jsonb)
returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_object_agg(f.name, k.value order by (k.key = f.name)::integer)
from jsonb_each(p_doc) as k (key, value)
cross join lateral (
    select coalesce(
        p_names ->> k.key, p_folded ->> sluice.fold_name(k.key), k.key
    ) as name
) as f;
end;
comment on function sluice.fold_keys(jsonb, jsonb, jsonb) is
'A record with its keys named as the fields are: p_names maps file names and aliases,
 p_folded maps folded names (sluice.fold_name). An exact name wins over a folded one.';

create or replace function sluice.escape_formula(p_text text)
returns text
language sql immutable parallel safe
return case
    -- a number is no formula
    when p_text ~ '^[-=+@\t\r\n]' and p_text !~ '^[-+]?\d+(\.\d+)?$' then '''' || p_text
    else p_text
end;
comment on function sluice.escape_formula(text) is
'A text with an apostrophe before it if a spreadsheet would run it as a formula.';
