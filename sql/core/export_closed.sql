-- Several resources in one export: what refers to a row that is left out is left out too.

create or replace function sluice.narrowed_resources(p_request jsonb)
returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_all constant text[] := array(select jsonb_array_elements_text(p_request -> 'resources'));
    v_found text[] := array(
        select r from unnest(v_all) as r
        where coalesce(p_request -> 'filters' -> r, '{}') not in ('{}', 'null')
    );
    v_more text[] := v_found;
begin
    while cardinality(v_more) > 0 loop
        v_more := array(
            select r
            from unnest(v_all) as r
            where r <> all (v_found) and exists (
                select
                from jsonb_array_elements(sluice.table_spec(r) -> 'references') as f
                inner join unnest(v_found) as p on sluice.table_spec(p) ->> 'table' = f ->> 'target'
            )
        );
        v_found := v_found || v_more;
    end loop;
    return v_found;
end;
$$;
comment on function sluice.narrowed_resources(jsonb) is
'Those of the resources of an export that do not leave whole: the filtered ones, and whatever refers
 to them, through any number of others.';

create or replace function sluice.closed_reference(
    p_spec jsonb, p_reference jsonb, p_target jsonb, p_condition text
)
returns text
language sql stable
begin atomic
select format(
    '(%sexists (
        select
        from (
            select t.*
            from %s as t
            where %s
        ) as p
        where %s
    ))',
    string_agg(
        case when not p_spec -> 'fields' @> jsonb_build_array(
            jsonb_build_object('name', k.name, 'not_null', true)
        ) then format('t.%I is null or ', k.name) end, '' order by k.place
    ),
    p_target ->> 'table',
    p_condition,
    string_agg(
        format(
            'p.%I %s t.%I', p_reference -> 'target_columns' ->> (k.place - 1)::integer,
            p_reference -> 'operators' ->> (k.place - 1)::integer, k.name
        ), ' and ' order by k.place
    )
)
from jsonb_array_elements_text(p_reference -> 'columns') with ordinality as k (name, place);
end;
comment on function sluice.closed_reference(jsonb, jsonb, jsonb, text) is
'The condition that a row t refers to nothing, or to a row of the target that meets a condition.';

create or replace function sluice.closed_condition(
    p_request jsonb, p_narrowed text[], p_resource text, p_path text[]
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.table_spec(p_resource);
    v_parts text[] := '{}';
    v_target text;
    v_target_spec jsonb;
    v_reference jsonb;
begin
    for v_target, v_target_spec, v_reference in
        select n.name, n.spec, f.reference
        from (
            select p as name, sluice.table_spec(p) as spec from unnest(p_narrowed) as p
        ) as n
        inner join jsonb_array_elements(v_spec -> 'references') as f (reference)
            on n.spec ->> 'table' = f.reference ->> 'target'
        order by f.reference ->> 'name', n.name
    loop
        if v_target = any (p_path || p_resource) then
            raise exception 'rows of % refer to each other: filtered, they cannot be closed', v_target using
                errcode = 'IO400', hint = 'filter another resource, or say closed: false';
        end if;
        v_parts := v_parts || sluice.closed_reference(v_spec, v_reference, v_target_spec, concat_ws(
            e'\n    and ',
            sluice.filter_conditions(v_target_spec, p_request -> 'filters' -> v_target),
            sluice.closed_condition(p_request, p_narrowed, v_target, p_path || p_resource)
        ));
    end loop;
    return nullif(array_to_string(v_parts, e'\n    and '), '');
end;
$$;
comment on function sluice.closed_condition(jsonb, text[], text, text[]) is
'The condition under which a row t refers only to rows that leave too, through every level; null
 when all do. IO400 when filtered resources refer to each other in a circle.';

create or replace function sluice.export_part(p_request jsonb, p_resource text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_several constant boolean := jsonb_array_length(p_request -> 'resources') > 1;
    v_own constant jsonb := case when v_several then jsonb_build_object(
        'fields', p_request -> 'fields' -> p_resource,
        'filters', p_request -> 'filters' -> p_resource,
        'order', p_request -> 'order' -> p_resource,
        'include', p_request -> 'include' -> p_resource
    ) else p_request end;
    v_condition text;
begin
    if v_several and (p_request ->> 'closed')::boolean then
        v_condition := sluice.closed_condition(
            p_request, sluice.narrowed_resources(p_request), p_resource, '{}'
        );
    end if;
    return sluice.spec_query(
        sluice.table_spec(p_resource) || jsonb_build_object('condition', v_condition),
        p_request ->> 'format',
        sluice.texts(v_own -> 'fields'),
        coalesce(nullif(v_own -> 'filters', 'null'), '{}'),
        sluice.texts(v_own -> 'order'),
        (p_request ->> 'limit')::bigint,
        sluice.texts(v_own -> 'include'),
        (
            select coalesce(jsonb_object_agg(o.key, o.value), '{}')
            from jsonb_each(p_request) as o
            where o.key in ('delimiter', 'null', 'header', 'escape_formulas')
        )
    );
end;
$$;
comment on function sluice.export_part(jsonb, text) is
'The COPY of one resource of an export, by its request (sluice.export_request). IO400.';

create or replace function sluice.texts(p_list jsonb)
returns text[]
language sql immutable
return case jsonb_typeof(p_list)
    when 'array' then array(select jsonb_array_elements_text(p_list))
end;
comment on function sluice.texts(jsonb) is 'A JSON array of texts as an array; null for none.';
