-- What can be judged only over the row that would result: late CHECKs and the rules.

create or replace function sluice.joins_again(p_spec jsonb)
returns boolean
language sql immutable
return jsonb_array_length(p_spec -> 'fields') > 200;
comment on function sluice.joins_again(jsonb) is
'True for a table so wide that its columns, once for the record and once for each key, could be more
 than Postgres has in a list (1,664).';

create or replace function sluice.sql_stored(p_spec jsonb, p_field jsonb)
returns text
language sql immutable
return case
    when sluice.joins_again(p_spec) then 't.' || (p_field ->> 'ident')
    else 'p._t_' || (p_field ->> 'attnum')
end;
comment on function sluice.sql_stored(jsonb, jsonb) is
'SQL of what the row that a record has found holds in a field: brought along by the join that found
 it, or from a join of its own.';

create or replace function sluice.sql_result_row(p_spec jsonb, p_only text[])
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select string_agg(
    format('%s as %s', case
        when not (f ->> 'given')::boolean or f ->> 'has' = 'false' then format(
            'case when p._via is not null then %s else %s end',
            sluice.sql_stored(p_spec, f), d.value
        )
        when f ->> 'has' = 'true' then 'p.' || (f ->> 'ident')
        else format(
            'case when %s then p.%s when p._via is not null then %s else %s end',
            f ->> 'has', f ->> 'ident', sluice.sql_stored(p_spec, f), d.value
        )
    end, f ->> 'ident'),
    e',\n            ' order by (f ->> 'attnum')::integer
)
from jsonb_array_elements(p_spec -> 'fields') as f
cross join lateral (
    select case
        -- judging must not take numbers from a sequence
        when f ->> 'default' is null or f ->> 'default' like '%nextval(%'
            then 'null::' || (f ->> 'base_type')
        else f ->> 'default'
    end as value
) as d
where not (f ->> 'generated')::boolean and (p_only is null or f ->> 'name' = any(p_only));
end;
comment on function sluice.sql_result_row(jsonb, text[]) is
'SQL of the row that would result: the existing row overlaid with the record, or the record over
 defaults.';

create or replace function sluice.sql_late(p_spec jsonb)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_items text;
    v_generated text;
    v_only text[];
begin
    select string_agg('        ' || x.item, e',\n') into v_items
    from (
        select format('%s as late_%s', c ->> 'expr', c ->> 'place') as item
        from jsonb_array_elements(p_spec -> 'checks') as c
        where (c ->> 'judged')::boolean and (c ->> 'late')::boolean
        union all
        select format('%s(row(%s)::%s) as %I', r.rule ->> 'function', (
            select string_agg('o.' || (f ->> 'ident'), ', ' order by (f ->> 'attnum')::integer)
            from jsonb_array_elements(p_spec -> 'fields') as f
        ), p_spec ->> 'table', 'rule_' || r.place)
        from jsonb_array_elements(p_spec -> 'rules') with ordinality as r (rule, place)
    ) as x;
    if v_items is null then
        return null;
    end if;
    select string_agg(format('%s as %s', f ->> 'generated_expr', f ->> 'ident'), ', ')
    into v_generated
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'generated')::boolean;
    if p_spec -> 'rules' = '[]' and v_generated is null then
        -- only what the checks read, so that the rest of the row need not be fetched
        select array_agg(distinct n.name) into v_only
        from jsonb_array_elements(p_spec -> 'checks') as c
        cross join lateral jsonb_array_elements_text(c -> 'columns') as n (name)
        where (c ->> 'judged')::boolean and (c ->> 'late')::boolean;
    end if;
    return concat_ws(e'\n',
        '    cross join lateral (',
        '        select',
        v_items,
        '        from (',
        case when v_generated is not null then
        '            select ' || (
            select string_agg(case when (f ->> 'generated')::boolean
                then format('(%s) as %s', f ->> 'generated_expr', f ->> 'ident')
                else f ->> 'ident' end, ', ' order by (f ->> 'attnum')::integer)
            from jsonb_array_elements(p_spec -> 'fields') as f
        ) || e'\n            from (' end,
        '            select ' || sluice.sql_result_row(p_spec, v_only),
        case when v_generated is not null then '            ) as o' end,
        '        ) as o',
        '    ) as j'
    );
end;
$$;
comment on function sluice.sql_late(jsonb) is
'SQL that judges, over the row that would result, the CHECKs whose columns a record may lack, and
 the rules.';
