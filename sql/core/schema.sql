-- A resource as JSON Schema 2020-12, and the list of resources.

create or replace function sluice.type_schema(p_type text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type pg_type;
begin
    select t.* into v_type from pg_type as t where t.oid = to_regtype(p_type);
    if v_type.typsubscript = 'array_subscript_handler'::regproc then
        return jsonb_build_object(
            'type', 'array', 'items', sluice.type_schema(format_type(v_type.typelem, null))
        );
    elsif v_type.typtype = 'e' then
        return jsonb_build_object('type', 'string', 'enum', (
            select jsonb_agg(e.enumlabel order by e.enumsortorder)
            from pg_enum as e where e.enumtypid = v_type.oid
        ));
    end if;
    return case v_type.oid::regtype
        when 'smallint'::regtype then '{"type": "integer", "minimum": -32768, "maximum": 32767}'
        when 'integer'::regtype
            then '{"type": "integer", "minimum": -2147483648, "maximum": 2147483647}'
        when 'bigint'::regtype then '{"type": "integer"}'
        when 'numeric'::regtype then '{"type": "number"}'
        when 'real'::regtype then '{"type": "number"}'
        when 'double precision'::regtype then '{"type": "number"}'
        when 'boolean'::regtype then '{"type": "boolean"}'
        when 'uuid'::regtype then '{"type": "string", "format": "uuid"}'
        when 'date'::regtype then '{"type": "string", "format": "date"}'
        when 'timestamp with time zone'::regtype then '{"type": "string", "format": "date-time"}'
        when 'json'::regtype then '{}'
        when 'jsonb'::regtype then '{}'
        when 'character varying'::regtype then jsonb_strip_nulls(jsonb_build_object(
            'type', 'string', 'maxLength', (regexp_match(p_type, '\((\d+)\)$'))[1]::integer
        ))
        when 'character'::regtype then jsonb_strip_nulls(jsonb_build_object(
            'type', 'string', 'maxLength', (regexp_match(p_type, '\((\d+)\)$'))[1]::integer
        ))
        else '{"type": "string"}'
    end;
end;
$$;
comment on function sluice.type_schema(text) is 'A type as JSON Schema.';

create or replace function sluice.check_values(p_spec jsonb, p_field text)
returns jsonb
language sql stable
begin atomic
-- role = ANY (ARRAY['admin'::text, 'reader'::text]), as pg_get_expr writes role in (…)
select jsonb_agg(replace(v.part[1], '''''', '''') order by v.place)
from (
    select c.item ->> 'expr' as expr
    from jsonb_array_elements(p_spec -> 'checks') as c (item)
    where c.item -> 'columns' = jsonb_build_array(p_field)
        and c.item ->> 'expr' ~ (
            '^\(\(?"?\w+"?\)?(::text)? = ANY \(\(?ARRAY\['
            '(''([^'']|'''')*''::(text|character varying)(, )?)+\]\)?(::text\[\])?\)\)$'
        )
    order by c.item ->> 'name'
    limit 1
) as e
cross join lateral regexp_matches(
    e.expr, '''((?:[^'']|'''')*)''::', 'g'
) with ordinality as v (part, place);
end;
comment on function sluice.check_values(jsonb, text) is
'The texts that a CHECK allows a field, when it is a plain list: role in (''admin'', ''reader'').';

create or replace function sluice.field_schema(p_spec jsonb, p_field jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_schema jsonb := sluice.type_schema(p_field ->> 'base_type');
    v_values constant jsonb := sluice.check_values(p_spec, p_field ->> 'name');
begin
    if v_values is not null then
        v_schema := v_schema || jsonb_build_object('enum', v_values);
    end if;
    if not (p_field ->> 'not_null')::boolean and v_schema ? 'type' then
        v_schema := v_schema || jsonb_build_object('type', jsonb_build_array(v_schema -> 'type', 'null'));
        if v_schema ? 'enum' then
            v_schema := jsonb_set(v_schema, '{enum}', (v_schema -> 'enum') || '[null]');
        end if;
    end if;
    return v_schema || jsonb_strip_nulls(jsonb_build_object(
        'description', p_field -> 'description',
        'readOnly', case when (p_field ->> 'generated')::boolean then true end,
        'x-type', p_field -> 'type',
        'x-default', p_field -> 'default_expr'
    ));
end;
$$;
comment on function sluice.field_schema(jsonb, jsonb) is 'A field as JSON Schema.';

create or replace function sluice.record_schema(p_spec jsonb, p_hidden text[])
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_about constant jsonb := sluice.describe(p_spec ->> 'resource');
begin
    return jsonb_strip_nulls(jsonb_build_object(
        'title', p_spec -> 'resource',
        'description', v_about -> 'description',
        'type', 'object',
        'required', jsonb_path_query_array(v_about, '$.fields[*] ? (@.required == true).name') - p_hidden,
        'x-key', p_spec -> 'identity',
        'x-aliases', p_spec -> 'aliases',
        'x-rules', v_about -> 'rules'
    )) || jsonb_build_object('properties', (
        select jsonb_object_agg(f ->> 'name', sluice.field_schema(p_spec, f))
        from jsonb_array_elements(p_spec -> 'fields') as f
        where f ->> 'name' <> all (p_hidden)
    ));
end;
$$;
comment on function sluice.record_schema(jsonb, text[]) is
'A record of a table as JSON Schema, without the hidden fields.';

create or replace function sluice.resource_schema(resource text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.table_spec(resource);
    v_schema constant jsonb := sluice.record_schema(v_spec, '{}');
begin
    return v_schema
    || '{"$schema": "https://json-schema.org/draft/2020-12/schema"}'
    || jsonb_build_object('properties', v_schema -> 'properties' || coalesce((
        select jsonb_object_agg(c.name, jsonb_build_object(
            'type', 'array',
            'items', sluice.record_schema(
                s.spec, array[s.spec ->> 'parent_field', coalesce(s.spec ->> 'position_field', '')]
            )
        ))
        from jsonb_array_elements_text(v_spec -> 'children') as c (name)
        cross join lateral (select sluice.table_spec(c.name) as spec) as s
    ), '{}'));
end;
$$;
comment on function sluice.resource_schema(text) is
'A record of a resource as JSON Schema 2020-12, with its lists of children; the rules with their
 messages stand in x-rules. IO400 for an unknown resource.';

create or replace function sluice.resources_json()
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
    v_list jsonb := '[]';
begin
    for v_name in
        select r.name from sluice.resource as r where sluice.may_use(r.name) order by r.name
    loop
        begin
            v_list := v_list || sluice.describe(v_name);
        exception when sqlstate 'IO409' then
            -- one whose table is gone must not hide the others
            v_list := v_list || jsonb_build_object('name', v_name, 'error', sqlerrm);
        end;
    end loop;
    return v_list;
end;
$$;
comment on function sluice.resources_json() is 'All resources, each as sluice.describe shows it.';
