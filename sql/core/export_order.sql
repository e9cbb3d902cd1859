create or replace function sluice.export_order(p_spec jsonb, p_ordering text[])
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_item text;
    v_name text;
    v_field jsonb;
    v_terms text[] := '{}';
    v_done jsonb := '[]';
begin
    foreach v_item in array coalesce(p_ordering, '{}') loop
        v_name := regexp_replace(btrim(v_item), '^-', '');
        v_field := sluice.find_field(p_spec, v_name);
        if v_field is null then
            perform sluice.unknown_field(p_spec, v_name, 'the order');
        elsif sluice.type_operator(to_regtype(v_field ->> 'base_type'), 1) is null then
            raise exception 'field % is of type %, which has no order',
                v_field ->> 'name', v_field ->> 'type' using
                errcode = 'IO400', hint = 'order by another field';
        end if;
        v_terms := v_terms || format(
            't.%s%s', v_field ->> 'ident', case when btrim(v_item) like '-%' then ' desc' end
        );
        v_done := v_done || (v_field -> 'name');
    end loop;
    if v_terms = '{}' then
        return null;
    end if;
    -- the key breaks ties, so that the same export has the same order twice
    return e'\norder by ' || array_to_string(v_terms || array(
        select format('t.%I', k.name)
        from jsonb_array_elements_text(p_spec -> 'identity') with ordinality as k (name, place)
        where not v_done ? k.name
        order by k.place
    ), ', ');
end;
$$;
comment on function sluice.export_order(jsonb, text[]) is
'The ORDER BY clause of an export, the key last; null when no order is asked for.';
