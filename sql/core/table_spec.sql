create or replace function sluice.known_resource(p_resource text)
returns sluice.resource
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_resource sluice.resource;
begin
    select r.* into v_resource from sluice.resource as r where r.name = p_resource;
    if not found then
        raise exception 'unknown resource %', coalesce(quote_literal(p_resource), 'null') using
            errcode = 'IO400',
            hint = 'known resources: ' || coalesce(
                (select string_agg(r.name, ', ' order by r.name) from sluice.resource as r),
                'none; register one with sluice.register'
            );
    end if;
    return v_resource;
end;
$$;
comment on function sluice.known_resource(text) is
'A resource by its name. IO400 for an unknown one.';

create or replace function sluice.known_table(p_resource sluice.resource)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table text;
begin
    select format('%I.%I', n.nspname, c.relname) into v_table
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.oid = p_resource.target;
    if not found then
        raise exception 'the table of resource % is gone', p_resource.name using
            errcode = 'IO409', hint = 'call sluice.unregister, or register its new table';
    end if;
    return v_table;
end;
$$;
comment on function sluice.known_table(sluice.resource) is
'The name of a resource''s table as it is now. IO409 when the table is gone.';

create or replace function sluice.table_spec(p_resource text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_resource constant sluice.resource := sluice.known_resource(p_resource);
    v_table constant text := sluice.known_table(v_resource);
    v_keys jsonb;
    v_identity jsonb;
    v_fields jsonb;
    v_triggers jsonb;
    v_operators jsonb;
begin
    -- each is asked once: a call plans its query anew
    select jsonb_agg(
        to_jsonb(f) || jsonb_build_object('ident', quote_ident(f.name)) order by f.attnum
    )
    into v_fields
    from sluice.catalog_fields(v_resource.target) as f;
    select coalesce(jsonb_agg(to_jsonb(t) order by t.name), '[]') into v_triggers
    from sluice.catalog_triggers(v_resource.target) as t;
    select coalesce(jsonb_agg(to_jsonb(k) || jsonb_build_object(
        'place', k.place,
        -- what the key is of, without what only its predicate reads
        'named', coalesce((
            select jsonb_agg(n.name order by n.place)
            from unnest(k.columns) with ordinality as n (name, place)
            where exists (
                select from jsonb_array_elements(k.parts) as t (part)
                where t.part ->> 'column' = n.name
                    or t.part ->> 'column' is null and strpos(t.part ->> 'expr', quote_ident(n.name)) > 0
            )
        ), to_jsonb(k.columns))
    ) order by k.place), '[]')
    into v_keys
    from (
        select row_number() over (order by c.is_primary desc, c.name asc) as place, c.*
        from sluice.catalog_keys(v_resource.target) as c
    ) as k;

    -- what names a row: the primary key, else the first plain key without nulls
    select
        jsonb_path_query_array(k.key, '$.parts[*].column'),
        jsonb_path_query_array(k.key, '$.parts[*].operator')
    into v_identity, v_operators
    from jsonb_array_elements(v_keys) as k (key)
    where
        k.key ->> 'predicate' is null
        and not jsonb_path_exists(k.key, '$.parts[*] ? (@.column == null)')
        and not exists (
            select from jsonb_array_elements(v_fields) as f
            where k.key -> 'columns' ? (f ->> 'name') and not (f ->> 'not_null')::boolean
        )
    order by (k.key ->> 'place')::integer
    limit 1;

    return jsonb_build_object(
        'resource', v_resource.name,
        'table', v_table,
        'oid', v_resource.target::oid::bigint,
        'search_path', v_resource.search_path,
        'aliases', v_resource.aliases,
        'created_field', v_resource.created_field,
        'updated_field', v_resource.updated_field,
        'parent', v_resource.parent,
        'parent_field', v_resource.parent_field,
        'position_field', v_resource.position_field,
        'identity', coalesce(v_identity, '[]'),
        'identity_operators', coalesce(v_operators, '[]'),
        'fields', v_fields,
        'keys', v_keys,
        'checks', (
            select coalesce(jsonb_agg(to_jsonb(c) || jsonb_build_object('place', c.place) order by c.place), '[]')
            from (
                select row_number() over (order by k.name) as place, k.*
                from sluice.catalog_checks(v_resource.target) as k
            ) as c
        ),
        'references', (
            select coalesce(jsonb_agg(
                to_jsonb(r) || jsonb_build_object(
                    'place', r.place,
                    'target', (
                        select format('%I.%I', n.nspname, t.relname)
                        from pg_class as t
                        inner join pg_namespace as n on t.relnamespace = n.oid
                        where t.oid = r.target
                    ),
                    'resource', (
                        select min(o.name) from sluice.resource as o where o.target = r.target
                    )
                ) order by r.place
            ), '[]')
            from (
                select row_number() over (order by k.name) as place, k.*
                from sluice.catalog_references(v_resource.target) as k
            ) as r
        ),
        'triggers', v_triggers,
        -- a BEFORE ROW trigger may mend what a CHECK would refuse
        'prejudge', v_resource.prejudge
        or not v_triggers @> '[{"before_row": true}]',
        'rules', (
            select coalesce(jsonb_agg(to_jsonb(u) - 'resource' order by u.code), '[]')
            from sluice.rule as u
            where u.resource = v_resource.name
        ),
        'domain_messages', (
            -- not obj_description: it would be asked of every constraint of the database
            select coalesce(jsonb_object_agg(c.conname, d.description), '{}')
            from pg_attribute as a
            inner join pg_constraint as c on a.atttypid = c.contypid
            inner join pg_description as d on c.oid = d.objoid
            where a.attrelid = v_resource.target and a.attnum > 0
                and d.classoid = 'pg_constraint'::regclass and d.objsubid = 0
        ),
        'children', (
            select coalesce(jsonb_agg(r.name order by r.name), '[]')
            from sluice.resource as r
            where r.parent = v_resource.name
        )
    );
end;
$$;
comment on function sluice.table_spec(text) is
'All that the registry and the catalog say of a resource, read afresh: the raw material of
 describe, import and export. IO400 for an unknown resource, IO409 when its table is gone.';
