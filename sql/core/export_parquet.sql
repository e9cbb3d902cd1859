-- Parquet: what each column of an export is there. The service makes the file of the cells of CSV.

create or replace function sluice.parquet_scalar(p_type text)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_number constant integer[] := regexp_match(p_type, '^numeric\((\d+),(-?\d+)\)$');
begin
    if v_number[1] <= 76 and v_number[2] >= 0 and v_number[2] <= v_number[1] then
        return jsonb_build_object(
            'kind', 'decimal', 'precision', v_number[1], 'scale', v_number[2]
        );
    end if;
    return jsonb_build_object('kind', case regexp_replace(p_type, '\(\d+\)', '')
        when 'smallint' then 'int16'
        when 'integer' then 'int32'
        when 'bigint' then 'int64'
        when 'real' then 'float'
        when 'double precision' then 'double'
        when 'boolean' then 'boolean'
        when 'date' then 'date'
        when 'time without time zone' then 'time'
        when 'timestamp without time zone' then 'timestamp'
        when 'timestamp with time zone' then 'timestamptz'
        when 'uuid' then 'uuid'
        when 'bytea' then 'binary'
        when 'json' then 'json'
        when 'jsonb' then 'json'
        -- a numeric without bounds, too: no decimal takes all that it may hold
        else 'text'
    end);
end;
$$;
comment on function sluice.parquet_scalar(text) is
'What a value of a type, as format_type names it, is in a Parquet file: {"kind": …}, of a decimal
 with precision and scale; text for whatever Parquet has no type for.';

create or replace function sluice.is_parquet_list(p_field jsonb)
returns boolean
language sql immutable
return p_field ->> 'kind' = 'array' and p_field ->> 'base_kind' <> 'composite';
comment on function sluice.is_parquet_list(jsonb) is
'Whether a field is a list in a Parquet file; an array of rows stays the text of Postgres.';

create or replace function sluice.parquet_reply(
    p_spec jsonb, p_fields text[], p_include text[]
)
returns jsonb
language sql stable
begin atomic
select jsonb_build_object('parquet', jsonb_build_object('columns', jsonb_agg(
    jsonb_build_object('name', n.name) || case
        -- children are a list of objects, as in JSON
        when f.field is null then '{"kind": "json"}'
        when sluice.is_parquet_list(f.field) then jsonb_build_object(
            'kind', 'list', 'of', sluice.parquet_scalar(
                regexp_replace(f.field ->> 'base_type', '(\[\])+$', '')
            )
        )
        else sluice.parquet_scalar(f.field ->> 'base_type')
    end
    order by n.place
)))
from unnest(coalesce(nullif(p_fields, '{}'), array(
    select d.field ->> 'name' from jsonb_array_elements(p_spec -> 'fields') as d (field)
    order by (d.field ->> 'attnum')::integer
)) || p_include) with ordinality as n (name, place)
cross join lateral (select sluice.find_field(p_spec, n.name) as field) as f;
end;
comment on function sluice.parquet_reply(jsonb, text[], text[]) is
'What the service needs to make a Parquet file of an export''s cells: the name of each column and
 what its values are.';
