create or replace function sluice.export_child(p_spec jsonb, p_child jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parent constant text := p_child ->> 'parent_field';
    v_row text;
    v_order text;
    v_link text;
begin
    select string_agg(
        format('%s as %s', sluice.export_column(f, 'c', 'json', false), f ->> 'ident'),
        ', ' order by (f ->> 'attnum')::integer
    )
    into v_row
    from jsonb_array_elements(p_child -> 'fields') as f
    where f ->> 'name' not in (v_parent, coalesce(p_child ->> 'position_field', ''));
    select string_agg(format('c.%I', o.name), ', ' order by o.place) into v_order
    from (
        select 0 as place, p_child ->> 'position_field' as name
        union all
        select k.place, k.name
        from jsonb_array_elements_text(p_child -> 'identity') with ordinality as k (name, place)
    ) as o
    where o.name is not null;
    -- the foreign key knows by which operator the two compare
    select format(
        't.%I %s c.%I', r -> 'target_columns' ->> 0, r -> 'operators' ->> 0, v_parent
    )
    into v_link
    from jsonb_array_elements(p_child -> 'references') as r
    where r -> 'columns' = jsonb_build_array(v_parent) and r ->> 'target' = p_spec ->> 'table'
    limit 1;
    if v_link is null then
        raise exception '% no longer refers to %', p_child ->> 'resource', p_spec ->> 'resource' using
            errcode = 'IO409', hint = 'register it again';
    end if;
    return format(
        '(
        select coalesce(json_agg(row_to_json(e.*)), ''[]'')
        from (
            select %s
            from %s as c
            where %s
            order by %s
        ) as e
    )', v_row, p_child ->> 'table', v_link, coalesce(v_order, '1')
    );
end;
$$;
comment on function sluice.export_child(jsonb, jsonb) is
'The children of a row t as a JSON array, in the order of their position field and key, without the
 fields that say where they belong. Looked up per parent, so that an export streams.';
