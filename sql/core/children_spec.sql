create or replace function sluice.may_replace(p_role text, p_table oid)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select bool_and(has_table_privilege(p_role, p_table, w.verb)) and not exists (
    -- lists are compared with more rows than the role may see
    select from pg_class as c
    where c.oid = p_table and c.relrowsecurity
        and (c.relforcerowsecurity or not pg_has_role(p_role, c.relowner, 'usage'))
)
from (values ('select'), ('insert'), ('update'), ('delete')) as w (verb);
end;
comment on function sluice.may_replace(text, oid) is
'Whether a role may replace lists of rows of a table.';

create or replace function sluice.allow_lists(p_spec jsonb, p_columns jsonb, p_job_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_role text;
    v_forbidden jsonb;
    v_name text;
begin
    if p_spec -> 'children' <> '[]' then
        select coalesce(sluice.key_login(j.key_id), sluice.key_role(j.key_id)) into v_role
        from sluice.job as j where j.job_id = p_job_id and j.key_id is not null;
    end if;
    if v_role is null then
        return p_spec;
    end if;
    select jsonb_agg(c.name) into v_forbidden
    from jsonb_array_elements_text(p_spec -> 'children') as c (name)
    where not sluice.may_replace(v_role, (sluice.table_spec(c.name) ->> 'oid')::oid);
    if v_forbidden is null then
        return p_spec;
    end if;
    select c ->> 'field' into v_name
    from jsonb_array_elements(p_columns) as c
    where v_forbidden ? (c ->> 'field');
    if found then
        raise exception 'the role of this API key may not replace the % of %',
            v_name, p_spec ->> 'resource' using
            errcode = 'IO403', hint = 'leave them out, or have the role granted it';
    end if;
    return p_spec || jsonb_build_object('forbidden', v_forbidden, 'children', (
        select coalesce(jsonb_agg(c.name), '[]')
        from jsonb_array_elements_text(p_spec -> 'children') as c (name)
        where not v_forbidden ? c.name
    ));
end;
$$;
comment on function sluice.allow_lists(jsonb, jsonb, uuid) is
'A table spec without the lists of children that the role of the job''s key may not replace; they
 are named in forbidden, and a record that brings one is rejected. IO403 when a whole column of the
 file does.';

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
