create or replace function sluice.spec_children(
    p_spec jsonb, p_columns jsonb, p_shape text, p_id text, p_names jsonb, p_options jsonb
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_children jsonb := '[]';
    v_name text;
    v_place integer := 0;
    v_cell text;
    v_child jsonb;
    v_fields jsonb;
    v_names jsonb;
begin
    for v_name in select c from jsonb_array_elements_text(p_spec -> 'children') as c loop
        v_place := v_place + 1;
        select sluice.stage_cell(p_shape, (c ->> 'place')::integer, c ->> 'header') into v_cell
        from jsonb_array_elements(p_columns) as c
        where c ->> 'field' = v_name;
        if p_shape <> 'line' and not found then
            continue;
        end if;
        v_child := sluice.table_spec(v_name);
        v_fields := sluice.spec_fields(v_child, '[]', '{}', 'child', 'line');
        v_names := sluice.map_names(v_child, sluice.child_mapping(v_name, p_options -> 'mapping'));
        v_children := v_children || (v_child || jsonb_build_object(
            'place', v_place,
            'name', v_name,
            'cell', v_cell,
            'source', 'child',
            'plan', format('sluice_stage.c%s_%s', v_place, p_id),
            'work', format('sluice_stage.d%s_%s', v_place, p_id),
            'options', jsonb_strip_nulls(jsonb_build_object('unknown_fields', p_options -> 'unknown_fields')),
            'stage', 'sluice_stage.s_' || p_id,
            'parent_names', p_names,
            'parent_folded', sluice.folded_names(p_names),
            'names', v_names,
            'folded', sluice.folded_names(v_names),
            'fields', v_fields,
            'keys', sluice.spec_keys(v_child, v_fields, null),
            'checks', sluice.spec_checks(v_child, v_fields),
            'rules', '[]'::jsonb
        ));
    end loop;
    return v_children;
end;
$$;
comment on function sluice.spec_children(jsonb, jsonb, text, text, jsonb, jsonb) is
'The child resources whose lists the file may hold, each a spec of its own (source child).';
