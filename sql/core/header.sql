create or replace function sluice.field_names(p_spec jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_object_agg(n.name, n.field order by n.rank desc), '{}')
from (
    select f.name, f.name as field, 1 as rank
    from jsonb_to_recordset(p_spec -> 'fields') as f (name text)
    union all
    select c.name, c.name as field, 1
    from jsonb_array_elements_text(p_spec -> 'children') as c (name)
    union all
    select a.key, a.value, 2
    from jsonb_each_text(p_spec -> 'aliases') as a
) as n;
end;
comment on function sluice.field_names(jsonb) is
'Every name by which a file may call a field or a list of children: {"content": "body", …}.';

create or replace function sluice.map_names(p_spec jsonb, p_mapping jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names constant jsonb := sluice.field_names(p_spec);
    -- names inside the lists of children are theirs to map
    v_mapping constant jsonb := (
        select jsonb_object_agg(m.key, m.value)
        from jsonb_each(p_mapping) as m
        where not exists (
            select from jsonb_array_elements_text(p_spec -> 'children') as c (name)
            where starts_with(m.key, c.name || '.')
        )
    );
    v_bad record;
begin
    select m.key, m.value into v_bad
    from jsonb_each_text(coalesce(v_mapping, '{}')) as m
    where m.value is not null and not v_names ? m.value
    limit 1;
    if found then
        raise exception 'mapping sends % to %, which is no field of %',
            quote_literal(v_bad.key), quote_literal(v_bad.value), p_spec ->> 'resource' using
            errcode = 'IO400',
            hint = 'fields are ' || (select string_agg(k, ', ') from jsonb_object_keys(v_names) as k);
    end if;
    -- a name mapped to null is left out
    return v_names || coalesce((
        select jsonb_object_agg(m.key, coalesce(v_names ->> m.value, '_ignored'))
        from jsonb_each_text(v_mapping) as m
    ), '{}');
end;
$$;
comment on function sluice.map_names(jsonb, jsonb) is
'sluice.field_names, with the names that the job maps by itself. IO400 for a mapping to no field.';

create or replace function sluice.child_mapping(p_child text, p_mapping jsonb)
returns jsonb
language sql immutable
begin atomic
select jsonb_object_agg(substr(m.key, length(p_child) + 2), m.value)
from jsonb_each(p_mapping) as m
where starts_with(m.key, p_child || '.');
end;
comment on function sluice.child_mapping(text, jsonb) is
'What of option mapping is for a child resource: {"addresses.zip": "postal_code"}.';

create or replace function sluice.folded_names(p_names jsonb)
returns jsonb
language sql immutable
begin atomic
select coalesce(jsonb_object_agg(
    sluice.fold_name(n.key), n.value order by (n.key = n.value)::integer
), '{}')
from jsonb_each_text(p_names) as n;
end;
comment on function sluice.folded_names(jsonb) is 'The same names, folded (sluice.fold_name).';

create or replace function sluice.header_columns(p_names jsonb, p_header text[])
returns jsonb
language sql immutable
begin atomic
select coalesce(jsonb_agg(jsonb_build_object(
    'place', h.place,
    'header', h.name,
    'field', case
        when h.name in ('_row', '_errors', '_raw') then h.name
        else coalesce(
            p_names ->> h.name, f.names ->> sluice.fold_name(h.name),
            c.names ->> replace(sluice.fold_name(h.name), '_', '')
        )
    end
) order by h.place), '[]')
from (select sluice.folded_names(p_names) as names) as f
cross join (
    -- E-Mail is email, unless two fields would be written so
    select jsonb_object_agg(n.name, n.field) as names
    from (
        select replace(sluice.fold_name(n.key), '_', '') as name, min(n.value) as field
        from jsonb_each_text(p_names) as n
        group by 1
        having count(distinct n.value) = 1
    ) as n
) as c
cross join unnest(p_header) with ordinality as h (name, place);
end;
comment on function sluice.header_columns(jsonb, text[]) is
'The names of a header with the field that each means by sluice.map_names: exactly, by alias, then
 without case, camelCase, spaces and hyphens; null for a name that no field has.';

create or replace function sluice.match_header(p_spec jsonb, p_header text[], p_options jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names constant jsonb := sluice.map_names(p_spec, p_options -> 'mapping');
    v_columns jsonb;
    v_bad record;
begin
    v_columns := sluice.header_columns(v_names, p_header);

    select c.header, c.field into v_bad
    from jsonb_to_recordset(v_columns) as c (place integer, header text, field text)
    where c.field is null and p_options ->> 'unknown_fields' is distinct from 'ignore'
    order by c.place
    limit 1;
    if found then
        raise exception 'the file has a field % that % does not have',
            quote_literal(left(v_bad.header, 200)), p_spec ->> 'resource' using
            errcode = 'IO400',
            hint = coalesce('did you mean ' || sluice.nearest_name(
                v_bad.header, array(select k from jsonb_object_keys(v_names) as k)
            ) || '? ', '') || 'rename it, map it with mapping, or say unknown_fields=ignore';
    end if;
    select c.field, string_agg(quote_literal(c.header), ' and ' order by c.place) as headers into v_bad
    from jsonb_to_recordset(v_columns) as c (place integer, header text, field text)
    where c.field not in ('_ignored')
    group by c.field
    having count(*) > 1
    limit 1;
    if found then
        raise exception '% of the file are the same field, %', v_bad.headers, v_bad.field using
            errcode = 'IO400', hint = 'leave one of them out, or map it to null with mapping';
    end if;
    return v_columns;
end;
$$;
comment on function sluice.match_header(jsonb, text[], jsonb) is
'The columns of a CSV file with the field that each holds: by mapping, exactly, by alias, then
 without case, camelCase, spaces and hyphens. IO400 for a name that no field has and for two of one
 field.';
