-- A header looked at before its file is sent.

create or replace function sluice.header_match(
    resource text, header text[], mapping jsonb default null
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.table_spec(resource);
    v_names constant jsonb := sluice.map_names(v_spec, mapping);
    v_columns jsonb;
begin
    perform sluice.check_resource(resource);
    select coalesce(jsonb_agg(jsonb_build_object(
        'header', c.header,
        'field', case when c.field not in ('_ignored', '_row', '_errors', '_raw') then c.field end,
        'how', case
            when mapping ? c.header then 'mapping'
            when c.field in ('_row', '_errors', '_raw') then 'ignored'
            when c.field = c.header then 'name'
            when v_names ? c.header then 'alias'
            when c.field is not null then 'spelling'
        end,
        'nearest', case
            when c.field is null
                then sluice.nearest_name(c.header, array(select k from jsonb_object_keys(v_names) as k))
        end
    ) order by c.place), '[]')
    into v_columns
    from jsonb_to_recordset(sluice.header_columns(v_names, header)) as c (
        place integer, header text, field text
    );
    return jsonb_build_object(
        'resource', resource,
        'columns', v_columns,
        'missing', (
            select coalesce(jsonb_agg(f.name order by f.attnum), '[]')
            from jsonb_to_recordset(v_spec -> 'fields') as f (
                attnum integer, name text, not_null boolean, default_expr text, identity text,
                generated boolean
            )
            where
                f.not_null and f.default_expr is null and f.identity is null and not f.generated
                and not v_columns @> jsonb_build_array(jsonb_build_object('field', f.name))
        ),
        'twice', (
            select coalesce(jsonb_agg(d.field order by d.field), '[]')
            from (
                select c.field
                from jsonb_to_recordset(v_columns) as c (field text)
                where c.field is not null
                group by c.field
                having count(*) > 1
            ) as d
        )
    );
end;
$$;
comment on function sluice.header_match(text, text[], jsonb) is
'What an import would make of a header: for each name the field that it means and how it was found
 (mapping, name, alias, spelling), or the nearest name; required fields that are missing; fields that
 two names mean. Names are matched as sluice.match_header does. IO400 for a mapping to no field.
   select sluice.header_match(''users'', array[''E-Mail'', ''name''], ''{"E-Mail": "email"}'');';

create or replace function sluice.header_guess(header text[])
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
    v_list jsonb := '[]';
begin
    for v_name in
        select r.name from sluice.resource as r where sluice.may_use(r.name) order by r.name
    loop
        begin
            v_list := v_list || sluice.header_match(v_name, header);
        exception when sqlstate 'IO409' then
            null; -- nothing can be imported into one whose table is gone
        end;
    end loop;
    return (
        select coalesce(jsonb_agg(m.match order by
            jsonb_array_length(jsonb_path_query_array(m.match, '$.columns[*] ? (@.field != null)'))
            - 2 * jsonb_array_length(m.match -> 'missing') desc, m.match ->> 'resource'
        ), '[]')
        from jsonb_array_elements(v_list) as m (match)
    );
end;
$$;
comment on function sluice.header_guess(text[]) is
'sluice.header_match for every resource, the likeliest first: that with the most names known and the
 fewest required fields missing.';
