create or replace function sluice.filter_target(p_spec jsonb, p_name text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_field jsonb := sluice.find_field(p_spec, p_name);
    v_operator text := 'eq';
    v_parts text[];
begin
    if v_field is null then
        v_parts := regexp_match(p_name, '^(.*)\[([^][]*)\]$');
        if v_parts is not null then
            v_field := sluice.find_field(p_spec, v_parts[1]);
            v_operator := v_parts[2];
        else
            -- created_after=… is created_at[gte]=…
            v_parts := regexp_match(sluice.fold_name(p_name), '^(.+)_(after|before)$');
            v_field := sluice.find_field(p_spec, v_parts[1] || '_at');
            v_operator := case v_parts[2] when 'after' then 'gte' when 'before' then 'lt' end;
        end if;
    end if;
    if v_field is null then
        perform sluice.unknown_field(
            p_spec, coalesce((regexp_match(p_name, '^(.*)\[[^][]*\]$'))[1], p_name), 'the filters'
        );
    end if;
    if v_operator <> all ('{eq,ne,gt,gte,lt,lte,in,"null"}') then
        raise exception 'filter % has an unknown operator', quote_literal(left(p_name, 200)) using
            errcode = 'IO400',
            hint = 'operators are [ne] [gt] [gte] [lt] [lte] [in] [null]; none means equal';
    end if;
    return v_field || jsonb_build_object('operator', v_operator);
end;
$$;
comment on function sluice.filter_target(jsonb, text) is
'The field that the name of a filter means, with its operator: role, role[in], createdAt[gte],
 created_after. IO400 for an unknown field or operator.';

create or replace function sluice.filter_list(p_field jsonb, p_name text, p_value jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_equal constant text := sluice.type_operator(to_regtype(p_field ->> 'base_type'), 3);
    v_values constant text[] := case jsonb_typeof(p_value)
        when 'array' then array(
            select v from jsonb_array_elements_text(p_value) as v where v is not null
        )
        else string_to_array(p_value #>> '{}', ',')
    end;
    v_list text;
begin
    select string_agg(sluice.filter_literal(p_field, p_name, v), ', ') into v_list
    from unnest(v_values) as v;
    return concat_ws(
        ' or ',
        case
            when v_list is null then 'false'
            else format('t.%s %s any (array[%s])', p_field ->> 'ident', v_equal, v_list)
        end,
        case when jsonb_typeof(p_value) = 'array' and p_value @> '[null]'
            then format('t.%s is null', p_field ->> 'ident') end
    );
end;
$$;
comment on function sluice.filter_list(jsonb, text, jsonb) is
'The condition that a field has one of a list of values: a,b or ["a", "b"].';

create or replace function sluice.filter_condition(p_spec jsonb, p_name text, p_value jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_field constant jsonb := sluice.filter_target(p_spec, p_name);
    v_ident constant text := 't.' || (v_field ->> 'ident');
    v_kind constant text := jsonb_typeof(p_value);
    v_text text := p_value #>> '{}';
    v_how text := v_field ->> 'operator';
    v_operator text;
begin
    if v_how = 'null' then
        if v_text is null or not pg_input_is_valid(v_text, 'boolean') then
            raise exception 'filter % cannot be %', quote_literal(p_name), left(p_value::text, 200) using
                errcode = 'IO400', hint = 'it takes true or false';
        end if;
        return v_ident || case when v_text::boolean then ' is null' else ' is not null' end;
    elsif v_kind = 'null' and v_how in ('eq', 'ne') then
        return v_ident || case v_how when 'eq' then ' is null' else ' is not null' end;
    end if;

    v_operator := sluice.type_operator(
        to_regtype(v_field ->> 'base_type'),
        case v_how when 'lt' then 1 when 'lte' then 2 when 'gte' then 4 when 'gt' then 5 else 3 end
    );
    if v_operator is null or v_field ->> 'kind' = 'json' then
        raise exception 'field % is of type %, which filters do not compare',
            v_field ->> 'name', v_field ->> 'type' using
            errcode = 'IO400', hint = format('filter by %s[null]=true or false', v_field ->> 'name');
    elsif v_kind = 'array' and v_field ->> 'kind' = 'array' and v_how <> 'in' then
        v_text := sluice.array_literal(p_value);
    elsif v_how = 'in' and v_kind not in ('null', 'object') or v_kind = 'array' and v_how = 'eq' then
        return sluice.filter_list(v_field, p_name, p_value);
    elsif v_kind in ('null', 'array', 'object') then
        raise exception 'filter % cannot be %', quote_literal(p_name), left(p_value::text, 200) using
            errcode = 'IO400', hint = 'give one value';
    end if;
    return format(
        case v_how
            -- what has no value is not equal to any
            when 'ne' then '(%s %s %s) is not true'
            else '%s %s %s'
        end,
        v_ident, v_operator, sluice.filter_literal(v_field, p_name, v_text)
    );
end;
$$;
comment on function sluice.filter_condition(jsonb, text, jsonb) is
'One filter as an SQL condition over t: typed, compared by the type''s own operator wherever it
 lives, its value quoted. A row without a value passes [ne]. IO400 names the field and its type.';

create or replace function sluice.filter_conditions(p_spec jsonb, p_filters jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(jsonb_typeof(p_filters), 'null') not in ('object', 'null') then
        raise exception 'filters must be a JSON object' using
            errcode = 'IO400', hint = 'such as {"active": true, "created_at[gte]": "2024-05-31"}';
    end if;
    return (
        select string_agg(
            format(
                case when c.condition like '% or %' then '(%s)' else '%s' end, c.condition
            ), e'\n    and ' order by f.key
        )
        from jsonb_each(nullif(p_filters, 'null')) as f
        cross join lateral sluice.filter_condition(p_spec, f.key, f.value) as c (condition)
    );
end;
$$;
comment on function sluice.filter_conditions(jsonb, jsonb) is
'All filters as one SQL condition over t; null when there are none. IO400.';

create or replace function sluice.export_where(p_spec jsonb, p_filters jsonb)
returns text
language sql stable
return e'\nwhere\n    ' || nullif(concat_ws(
    e'\n    and ', sluice.filter_conditions(p_spec, p_filters), p_spec ->> 'condition'
), '');
comment on function sluice.export_where(jsonb, jsonb) is
'The WHERE clause of an export: its filters, and a condition that its spec may carry
 (sluice.closed_condition); null when there are none.';
