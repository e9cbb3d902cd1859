create or replace function sluice.describe(resource text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.table_spec(resource);
begin
    perform sluice.check_resource(resource);
    return jsonb_build_object(
        'name', v_spec -> 'resource',
        'table', v_spec -> 'table',
        'description', obj_description((v_spec ->> 'oid')::oid, 'pg_class'),
        'key', v_spec -> 'identity',
        'fields', (
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'name', f.name,
                'type', f.type,
                'kind', f.kind,
                'required', f.not_null and f.default_expr is null and f.identity is null
                and not f.generated,
                'nullable', not f.not_null,
                'default', f.default_expr,
                'read_only', case when f.generated then true end,
                'identity', case f.identity when 'a' then 'always' when 'd' then 'by default' end,
                'values', to_jsonb(f.labels),
                'description', f.description,
                'aliases', (
                    select jsonb_agg(a.key order by a.key)
                    from jsonb_each_text(v_spec -> 'aliases') as a
                    where a.value = f.name
                )
            )) order by f.attnum)
            from jsonb_to_recordset(v_spec -> 'fields') as f (
                attnum integer, name text, type text, kind text, not_null boolean,
                default_expr text, generated boolean, identity text, labels text[],
                description text
            )
        ),
        'keys', (
            select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'name', k.name,
                'primary', k.is_primary,
                'fields', k.columns,
                'expressions', jsonb_path_query_array(k.parts, '$[*].expr'),
                'predicate', k.predicate,
                'nulls_not_distinct', k.nulls_not_distinct,
                'deferrable', k.is_deferrable
            )) order by k.place), '[]')
            from jsonb_to_recordset(v_spec -> 'keys') as k (
                place integer, name text, is_primary boolean, is_deferrable boolean,
                nulls_not_distinct boolean, predicate text, columns jsonb, parts jsonb
            )
        ),
        'rules', (
            select coalesce(jsonb_agg(r.rule order by r.name), '[]')
            from (
                select c.name, jsonb_build_object(
                    'name', c.name, 'kind', 'check', 'fields', c.columns,
                    'message', coalesce(c.message, format('must satisfy %s', c.expr)),
                    'judged', case
                        when c.whole_row or not (v_spec ->> 'prejudge')::boolean then 'write'
                        else 'before' end
                ) as rule
                from jsonb_to_recordset(v_spec -> 'checks') as c (
                    name text, expr text, columns jsonb, whole_row boolean, message text
                )
                union all
                select u.code, jsonb_build_object(
                    'name', u.code, 'kind', 'rule', 'fields', jsonb_build_array(u.field),
                    'message', u.message, 'function', u.function, 'judged', 'before'
                )
                from jsonb_to_recordset(v_spec -> 'rules') as u (
                    code text, field text, function text, message text
                )
            ) as r
        ),
        'references', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'name', r.name, 'fields', r.columns, 'table', r.target,
                'resource', r.resource, 'target_fields', r.target_columns
            ) order by r.name), '[]')
            from jsonb_to_recordset(v_spec -> 'references') as r (
                name text, columns jsonb, target text, resource text, target_columns jsonb
            )
        ),
        'children', v_spec -> 'children',
        'parent', v_spec -> 'parent',
        'created_field', v_spec -> 'created_field',
        'updated_field', v_spec -> 'updated_field',
        'triggers', jsonb_path_query_array(v_spec -> 'triggers', '$[*].name')
    );
end;
$$;
comment on function sluice.describe(text) is
'What a resource takes and gives: fields with types, keys, rules with their messages, references,
 children, triggers. IO400 for an unknown resource.';
