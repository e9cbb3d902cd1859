-- What the service needs to send an export: a whole COPY and the settings under which it runs.

create or replace function sluice.copy_reply(p_query text, p_format text, p_csv text)
returns jsonb
language sql immutable
return jsonb_build_object(
    'copy', format(
        e'copy (\n%s\n) to stdout with (%s)', p_query,
        -- JSON escapes control bytes, so these two stand in no line and nothing is quoted
        case p_format
            when 'csv' then p_csv
            -- the service makes these files: it asks only for the cells
            when 'xlsx' then 'format text'
            when 'parquet' then 'format csv'
            else 'format csv, quote e''\x01'', delimiter e''\x02'''
        end
    ),
    'prefix', '',
    'suffix', '',
    'content_type', case p_format
        when 'csv' then 'text/csv; charset=utf-8; header='
            || case when p_csv like '%header false%' then 'absent' else 'present' end
        when 'xlsx' then 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
        when 'parquet' then 'application/vnd.apache.parquet'
        when 'ndjson' then 'application/x-ndjson'
        else 'application/json'
    end,
    'extension', p_format
);
comment on function sluice.copy_reply(text, text, text) is
'What the service needs to send a query''s rows: the COPY, its content type and file extension.';

create or replace function sluice.cell_kind(p_type regtype)
returns text
language sql immutable
return case p_type::text
    when 'smallint' then 'number'
    when 'integer' then 'number'
    when 'bigint' then 'number'
    when 'real' then 'number'
    when 'double precision' then 'number'
    when 'numeric' then 'number'
    when 'boolean' then 'boolean'
    when 'date' then 'date'
    when 'timestamp without time zone' then 'moment'
    when 'timestamp with time zone' then 'moment'
    else 'text'
end;
comment on function sluice.cell_kind(regtype) is
'What a value of a type is in a spreadsheet: number, boolean, date, moment or text.';

create or replace function sluice.sheet_reply(
    p_spec jsonb, p_fields text[], p_include text[], p_options jsonb
)
returns jsonb
language sql stable
begin atomic
select jsonb_build_object('sheet', jsonb_build_object(
    'name', p_spec ->> 'resource',
    'header', coalesce((p_options ->> 'header')::boolean, true),
    'columns', (
        select jsonb_agg(
            jsonb_build_object('name', n.name, 'kind', sluice.cell_kind(
                to_regtype(sluice.find_field(p_spec, n.name) ->> 'base_type')
            )) order by n.place
        )
        from unnest(coalesce(nullif(p_fields, '{}'), array(
            select f.field ->> 'name' from jsonb_array_elements(p_spec -> 'fields') as f (field)
            order by (f.field ->> 'attnum')::integer
        )) || p_include) with ordinality as n (name, place)
    )
));
end;
comment on function sluice.sheet_reply(jsonb, text[], text[], jsonb) is
'What the service needs to make a workbook of an export''s cells: the name of the sheet, whether it
 has a header, and for each column its name and the kind of its values.';

create or replace function sluice.csv_options(p_options jsonb)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_delimiter constant text := sluice.check_option(
        'delimiter', coalesce(p_options -> 'delimiter', '","')
    ) #>> '{}';
    v_null constant text := sluice.check_option('null', coalesce(p_options -> 'null', '""')) #>> '{}';
begin
    if strpos(v_null, v_delimiter) > 0 then
        perform sluice.option_error('null', v_null, 'it must not hold the delimiter');
    end if;
    return format(
        'format csv, delimiter %L, null %L, header %s', v_delimiter, v_null,
        coalesce((p_options ->> 'header')::boolean, true)::text
    );
end;
$$;
comment on function sluice.csv_options(jsonb) is
'The options of COPY for a CSV file: delimiter, null marker, header. IO400 for a bad one.';

create or replace function sluice.check_export_options(p_options jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_option record;
begin
    for v_option in select o.key, o.value from jsonb_each(coalesce(p_options, '{}')) as o loop
        if v_option.key in ('header', 'escape_formulas') then
            if not coalesce(pg_input_is_valid(v_option.value #>> '{}', 'boolean'), false) then
                perform sluice.option_error(v_option.key, v_option.value::text, 'it takes true or false');
            end if;
        elsif v_option.key not in ('delimiter', 'null') then
            raise exception 'unknown option %', quote_literal(left(v_option.key, 200)) using
                errcode = 'IO400',
                hint = 'options of an export are delimiter, null, header, escape_formulas';
        end if;
    end loop;
end;
$$;
comment on function sluice.check_export_options(jsonb) is
'IO400 for an unknown option of an export.';

create or replace function sluice.pin_output(p_search_path text)
returns void
language sql volatile
begin atomic
select
    set_config('search_path', coalesce(p_search_path, 'pg_catalog, pg_temp'), true),
    set_config('DateStyle', 'ISO', true),
    set_config('TimeZone', 'UTC', true),
    set_config('IntervalStyle', 'postgres', true),
    set_config('extra_float_digits', '1', true),
    set_config('bytea_output', 'hex', true),
    set_config('xmloption', 'content', true),
    set_config('jit', 'off', true);
end;
comment on function sluice.pin_output(text) is
'Pins, to the end of the transaction, the settings under which values are written: as imports read
 them, whatever the session has set. No SET clause of its own, which would undo it.';

create or replace function sluice.spec_query(
    p_spec jsonb, p_format text, p_fields text[], p_filters jsonb, p_ordering text[],
    p_limit bigint, p_include text[], p_options jsonb
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_query text;
begin
    perform sluice.check_resource(p_spec ->> 'resource');
    perform sluice.check_export_options(p_options);
    v_query := sluice.export_rows(
        p_spec, p_format, p_fields, p_filters, p_ordering, p_limit, p_include,
        coalesce((p_options ->> 'escape_formulas')::boolean, false)
    );
    v_query := case p_format
        when 'csv' then v_query
        when 'xlsx' then v_query
        when 'parquet' then v_query
        when 'ndjson' then sluice.json_lines(v_query)
        else sluice.json_array(sluice.json_lines(v_query))
    end;
    return jsonb_build_object('query', v_query)
        || sluice.copy_reply(v_query, p_format, sluice.csv_options(p_options))
        || case p_format
            when 'xlsx' then sluice.sheet_reply(p_spec, p_fields, p_include, p_options)
            when 'parquet' then sluice.parquet_reply(p_spec, p_fields, p_include)
            else '{}'
        end;
end;
$$;
comment on function sluice.spec_query(
    jsonb, text, text[], jsonb, text[], bigint, text[], jsonb
) is 'The COPY of an export by a spec of sluice.table_spec, which may carry a condition.';

create or replace function sluice.export_query(
    p_resource text, p_format text, p_fields text[], p_filters jsonb, p_ordering text[],
    p_limit bigint, p_include text[], p_options jsonb
)
returns jsonb
language sql stable
return sluice.spec_query(
    sluice.table_spec(p_resource), p_format, p_fields, p_filters, p_ordering, p_limit, p_include,
    p_options
);
comment on function sluice.export_query(
    text, text, text[], jsonb, text[], bigint, text[], jsonb
) is 'The COPY of an export; see sluice.export_copy, which also pins the settings.';

create or replace function sluice.export_copy(
    resource text,
    format text default 'ndjson',
    fields text[] default null,
    filters jsonb default '{}',
    ordering text[] default null,
    "limit" bigint default null,
    include text[] default null,
    options jsonb default '{}'
)
returns jsonb
language sql volatile
begin atomic
select sluice.pin_output(
    (select r.search_path from sluice.resource as r where r.name = export_copy.resource)
);
-- materialized: the query is built before the role is taken on
with query as materialized (
    select sluice.export_query(
        resource, format, fields, filters, ordering, "limit", include, options
    ) as reply
)
select sluice.as_key(q.reply, (sluice.present_key()).key_id, export_copy.resource) from query as q;
end;
comment on function sluice.export_copy(
    text, text, text[], jsonb, text[], bigint, text[], jsonb
) is
'The export as a whole COPY: {"copy", "prefix", "suffix", "content_type", "extension"}; pins the
 settings of output to the end of the transaction, so run the COPY in the same one. Parameters as of
 sluice.export_sql; options: delimiter, null, header, escape_formulas (CSV only). IO400.';
