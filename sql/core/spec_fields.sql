create or replace function sluice.default_literal(p_field jsonb, p_value jsonb)
returns text
language plpgsql stable
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set intervalstyle = 'postgres'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_text text;
begin
    if p_value is null or jsonb_typeof(p_value) = 'null' then
        return null;
    end if;
    v_text := case
        when p_field ->> 'kind' = 'json' and jsonb_typeof(p_value) <> 'string' then p_value::text
        when p_field ->> 'kind' = 'array' and jsonb_typeof(p_value) = 'array'
            then sluice.array_literal(p_value, p_field ->> 'base_kind' = 'json')
        else p_value #>> '{}'
    end;
    -- a domain's own constraints may be code of the table: they are judged where that may run
    if not pg_input_is_valid(v_text, p_field ->> 'base_type') then
        raise exception 'the default for % is no %: %', p_field ->> 'name', p_field ->> 'type',
            quote_literal(left(v_text, 200)) using errcode = 'IO400', hint = 'correct option defaults';
    end if;
    -- as it means the same in every session
    execute format('select %L::%s::text', v_text, p_field ->> 'base_type') into v_text;
    return format('%L::%s', v_text, p_field ->> 'base_type');
end;
$$;
comment on function sluice.default_literal(jsonb, jsonb) is
'A value of option defaults as an SQL literal of its field''s type. IO400 when it is none.';

create or replace function sluice.is_wide(p_spec jsonb)
returns boolean
language sql immutable
return jsonb_array_length(p_spec -> 'fields') > 500;
comment on function sluice.is_wide(jsonb) is
'True for a table so wide that a value, its text and a mark of each field are more columns than a
 statement (1,664) or a table (1,600) may have: texts and marks then stand in arrays, by attnum.';

create or replace function sluice.spec_fields(
    p_spec jsonb, p_columns jsonb, p_options jsonb, p_source text, p_shape text
)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_agg(
    f.field || jsonb_build_object(
        'given', g.given,
        'cell', case when p_source = 'csv' and c.place is not null
            then sluice.stage_cell(p_shape, c.place, c.header) end,
        'writable', w.writable,
        'is_key', k.is_key,
        -- whether a record has the field: null where a null cannot be meant is absence
        'has', case
            when not g.given then 'false'
            when p_source = 'csv' and not (n.not_null and d.expr is not null) and not s.is_stamp
                then 'true'
            when n.not_null or s.is_stamp then format('p.%s is not null', i.ident)
            else 'p.' || m.sent
        end,
        'text', format(
            case when sluice.is_wide(p_spec) then '_cells[%s]' else '_cell_%s' end, i.attnum
        ),
        'sent', m.sent,
        'default', d.expr,
        'job_default', p_options -> 'defaults' ? (f.field ->> 'name'),
        -- the empty text is a text of its own; other types take none
        'plain_text', f.field ->> 'domain' is null
        and f.field ->> 'base_type' in ('text', 'character varying')
    )
    order by i.attnum
)
from jsonb_array_elements(p_spec -> 'fields') as f (field)
cross join lateral (
    select
        (f.field ->> 'attnum')::integer as attnum,
        f.field ->> 'ident' as ident
) as i
cross join lateral (
    select format(
        case when sluice.is_wide(p_spec) then '_has[%s]' else '_has_%s' end, i.attnum
    ) as sent
) as m
cross join lateral (select (f.field ->> 'not_null')::boolean as not_null) as n
cross join lateral (
    select p_spec -> 'identity' ? (f.field ->> 'name') as is_key
) as k
cross join lateral (
    select f.field ->> 'name' in (
        p_spec ->> 'created_field', p_spec ->> 'updated_field'
    ) is true as is_stamp
) as s
cross join lateral (
    select coalesce(
        sluice.default_literal(f.field, p_options -> 'defaults' -> (f.field ->> 'name')),
        f.field ->> 'default_expr',
        -- an identity column's default is its sequence
        case when f.field ->> 'identity' is not null then format(
            'nextval(%L::regclass)',
            pg_get_serial_sequence(p_spec ->> 'table', f.field ->> 'name')
        ) end
    ) as expr
) as d
cross join lateral (
    select not (f.field ->> 'generated')::boolean
        and (
            f.field ->> 'identity' is distinct from 'a'
            or p_options ->> 'identity' is not distinct from 'keep'
        )
        as writable
) as w
left join jsonb_to_recordset(p_columns) as c (place integer, header text, field text)
    on c.field = f.field ->> 'name'
cross join lateral (
    select case
        when (f.field ->> 'generated')::boolean then false
        when f.field ->> 'name' = p_spec ->> 'position_field' and p_source = 'child' then false
        when f.field ->> 'name' = p_spec ->> 'parent_field' and p_source = 'child' then false
        when p_source = 'csv' then c.place is not null
        else true
    end as given
) as g;
end;
comment on function sluice.spec_fields(jsonb, jsonb, jsonb, text, text) is
'The fields of a table spec with what this import knows of them: given (the file may hold it), cell
 (where in the stage), writable, has (SQL: this record has it), default (SQL), is_key.
 p_source: csv, json or child (an element of a list in a parent''s record).';
