-- A template: the header and one example record to start a file from.

create or replace function sluice.example_text(p_name text, p_type text, p_values jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema constant jsonb := sluice.type_schema(p_type);
    v_category constant text := (
        select t.typcategory from pg_type as t where t.oid = to_regtype(p_type)
    );
    v_text text;
begin
    v_text := case
        when p_values is not null then p_values ->> 0
        when v_schema ? 'enum' then v_schema -> 'enum' ->> 0
        when v_schema = '{}' then '{}'
        when v_category = 'A' then '{}'
        when v_category = 'N' then '1'
        when v_category = 'B' then 'true'
        when v_schema ->> 'format' = 'uuid' then '00000000-0000-4000-8000-000000000001'
        when v_category = 'D' then '2024-05-31'
        when p_name ~* 'mail' then 'ann@example.com'
        when p_name ~* 'slug' then 'an-example'
        when p_name ~* '^(body|content|text|description)$'
            then 'An example text of ten words or more, to be replaced by yours.'
        when p_name ~* 'name' then 'Ann Example'
        else 'example'
    end;
    -- what this type takes, or nothing
    return case when pg_input_is_valid(v_text, p_type || '') then v_text end;
exception when data_exception then
    return null;
end;
$$;
comment on function sluice.example_text(text, text, jsonb) is
'A value that a field of this name and type may have; null when none comes to mind.';

create or replace function sluice.template_fields(p_spec jsonb)
returns table (place integer, name text, expr text)
language sql stable
begin atomic
select
    f.attnum,
    f.name,
    case
        -- these take care of themselves
        when p_spec -> 'identity' ? f.name and f.default_expr is not null then 'null'
        when f.identity is not null then 'null'
        when f.name in (p_spec ->> 'created_field', p_spec ->> 'updated_field') then 'null'
        -- whether these may have a value depends on other fields
        when not f.not_null and exists (
            select from jsonb_array_elements(p_spec -> 'checks') as c (item)
            where c.item -> 'columns' ? f.name and jsonb_array_length(c.item -> 'columns') > 1
        ) then 'null'
        else coalesce(format(
            '%L::%s',
            sluice.example_text(f.name, f.base_type, sluice.check_values(p_spec, f.name)),
            f.base_type
        ), 'null')
    end
from jsonb_to_recordset(p_spec -> 'fields') as f (
    attnum integer, name text, base_type text, not_null boolean, default_expr text,
    generated boolean, identity text
)
where not f.generated
order by f.attnum;
end;
comment on function sluice.template_fields(jsonb) is
'The fields that a file may hold, each with an example value as SQL.';

create or replace function sluice.template_object(p_spec jsonb, p_hidden text[])
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_pairs text;
    v_child text;
    v_spec jsonb;
begin
    select string_agg(format('%s as %I', t.expr, t.name), ', ' order by t.place) into v_pairs
    from sluice.template_fields(p_spec) as t
    where t.expr <> 'null' and t.name <> all (p_hidden);
    if p_hidden = '{}' then
        for v_child in select c from jsonb_array_elements_text(p_spec -> 'children') as c loop
            v_spec := sluice.table_spec(v_child);
            v_pairs := concat_ws(', ', v_pairs, format(
                'json_build_array(%s) as %I',
                sluice.template_object(
                    v_spec,
                    array[v_spec ->> 'parent_field', coalesce(v_spec ->> 'position_field', '')]
                ),
                v_child
            ));
        end loop;
    end if;
    return format('(select row_to_json(x.*) from (select %s) as x)', v_pairs);
end;
$$;
comment on function sluice.template_object(jsonb, text[]) is
'The example record as an SQL expression of a JSON object, children included.';

create or replace function sluice.template_query(p_resource text, p_format text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.table_spec(p_resource);
    v_query text;
begin
    perform sluice.check_resource(p_resource);
    if p_format = 'parquet' then
        raise exception 'there is no template in parquet' using
            errcode = 'IO400', hint = 'formats of templates are csv, ndjson, json and xlsx';
    elsif sluice.is_table(sluice.check_file_format(p_format)) then
        select 'select ' || string_agg(format('%s as %I', t.expr, t.name), ', ' order by t.place)
        into v_query
        from sluice.template_fields(v_spec) as t;
    else
        v_query := format('select %s as line', sluice.template_object(v_spec, '{}'));
        if p_format = 'json' then
            v_query := sluice.json_array(v_query);
        end if;
    end if;
    return sluice.copy_reply(v_query, p_format, sluice.csv_options('{}')) || case p_format
        when 'xlsx' then (
            select sluice.sheet_reply(v_spec, array_agg(t.name order by t.place), null, '{}')
            from sluice.template_fields(v_spec) as t
        )
        else '{}'
    end;
end;
$$;
comment on function sluice.template_query(text, text) is
'The COPY of a template; see sluice.template_copy.';

create or replace function sluice.template_copy(resource text, format text default 'csv')
returns jsonb
language sql volatile
begin atomic
select sluice.pin_output(null);
select sluice.template_query(resource, format);
end;
comment on function sluice.template_copy(text, text) is
'A header and an example record of a resource as a whole COPY, in the shape of sluice.export_copy.
 IO400 for an unknown resource or format.';
