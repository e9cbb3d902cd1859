-- The rows of an export: which columns leave, under which names, in which form.

create or replace function sluice.check_format(p_format text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_format is null or p_format not in ('csv', 'ndjson', 'json') then
        raise exception 'unknown format %', coalesce(quote_literal(left(p_format, 200)), 'null') using
            errcode = 'IO400', hint = 'formats are csv, ndjson and json';
    end if;
    return p_format;
end;
$$;
comment on function sluice.check_format(text) is
'The format of a text that SQL writes; IO400 when it is none.';

create or replace function sluice.check_file_format(p_format text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_format is null or p_format not in ('csv', 'ndjson', 'json', 'xlsx', 'parquet') then
        raise exception 'unknown format %', coalesce(quote_literal(left(p_format, 200)), 'null') using
            errcode = 'IO400', hint = 'formats are csv, ndjson, json, xlsx and parquet';
    end if;
    return p_format;
end;
$$;
comment on function sluice.check_file_format(text) is
'The format of a file that the service reads or writes; IO400 when it is not known.';

create or replace function sluice.export_column(
    p_field jsonb, p_alias text, p_format text, p_escape boolean
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_column constant text := format('%s.%s', p_alias, p_field ->> 'ident');
    v_type constant regtype := to_regtype(p_field ->> 'base_type');
    -- types that to_json writes as their own input reads them
    v_native constant regtype[] := '{
        smallint,integer,bigint,real,"double precision",numeric,boolean,text,"character varying",
        character,date,"timestamp without time zone","timestamp with time zone",uuid,jsonb
    }';
begin
    if p_format = 'parquet' and sluice.is_parquet_list(p_field) then
        -- each element as Postgres writes it
        return format('to_json(%s::text[])', v_column);
    elsif sluice.is_table(p_format) then
        if p_escape and p_format = 'csv' and (select t.typcategory = 'S' from pg_type as t where t.oid = v_type) then
            return format(
                'case when %1$s::text operator(pg_catalog.~) ''^[-=+@\t\r\n]'''
                ' then concat('''''''', %1$s) else %1$s::text end', v_column
            );
        end if;
        return v_column;
    elsif v_type = any (v_native) then
        return v_column;
    elsif v_type = 'json'::regtype then
        -- line ends stand only between the tokens of a JSON text
        return format('translate(%s::text, e''\n\r'', ''  '')::json', v_column);
    elsif v_type = 'json[]'::regtype then
        return format('translate(to_json(%s)::text, e''\n\r'', ''  '')::json', v_column);
    elsif p_field ->> 'kind' = 'array' then
        return case
            when (select t.typelem from pg_type as t where t.oid = v_type) = any (v_native) then v_column
            else v_column || '::text[]'
        end;
    end if;
    return v_column || '::text';
end;
$$;
comment on function sluice.export_column(jsonb, text, text, boolean) is
'A field as an SQL expression that reads back as the same value. In tables: as Postgres writes it,
 but the arrays of Parquet as JSON arrays of texts. JSON: numbers, booleans, JSON and arrays as such,
 the rest as text. p_escape: CSV texts that a spreadsheet would take for a formula get an apostrophe
 before them.';

create or replace function sluice.export_list(
    p_spec jsonb, p_format text, p_fields text[], p_include text[], p_escape boolean
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names text[] := coalesce(nullif(p_fields, '{}'), array(
        select f ->> 'name' from jsonb_array_elements(p_spec -> 'fields') as f
        order by (f ->> 'attnum')::integer
    ));
    v_list text[] := '{}';
    v_name text;
    v_field jsonb;
begin
    foreach v_name in array v_names loop
        v_field := sluice.find_field(p_spec, v_name);
        if v_field is null then
            perform sluice.unknown_field(p_spec, v_name, 'the fields');
        end if;
        v_list := v_list || format(
            '%s as %I', sluice.export_column(v_field, 't', p_format, p_escape), v_name
        );
    end loop;
    foreach v_name in array coalesce(p_include, '{}') loop
        if v_name is null or not p_spec -> 'children' ? v_name then
            raise exception 'unknown list % to include', coalesce(quote_literal(left(v_name, 200)), 'null')
                using errcode = 'IO400', hint = coalesce('lists that it takes: ' || (
                    select string_agg(c, ', ') from jsonb_array_elements_text(p_spec -> 'children') as c
                ), format('%s has none', p_spec ->> 'resource'));
        end if;
        v_list := v_list || format(
            '%s as %I', sluice.export_child(p_spec, sluice.table_spec(v_name)), v_name
        );
    end loop;
    select n into v_name from unnest(v_names || p_include) as n group by n having count(*) > 1 limit 1;
    if found then
        raise exception 'field % is asked for twice', quote_literal(v_name) using
            errcode = 'IO400', hint = 'ask for it once';
    end if;
    return array_to_string(v_list, e',\n    ');
end;
$$;
comment on function sluice.export_list(jsonb, text, text[], text[], boolean) is
'The select list of an export: the fields asked for under the names by which they were asked for
 (all by default), then the lists of children. IO400 for an unknown or repeated name.';

create or replace function sluice.export_rows(
    p_spec jsonb, p_format text, p_fields text[], p_filters jsonb, p_ordering text[],
    p_limit bigint, p_include text[], p_escape boolean
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.check_file_format(p_format);
    if p_limit < 0 then
        raise exception 'limit cannot be %', p_limit using
            errcode = 'IO400', hint = 'give a whole number, 0 or more';
    end if;
    return concat(
        e'select\n    ', sluice.export_list(p_spec, p_format, p_fields, p_include, p_escape),
        e'\nfrom ', p_spec ->> 'table', ' as t',
        sluice.export_where(p_spec, p_filters),
        sluice.export_order(p_spec, p_ordering),
        e'\nlimit ' || p_limit
    );
end;
$$;
comment on function sluice.export_rows(
    jsonb, text, text[], jsonb, text[], bigint, text[], boolean
) is
'The rows of an export as a query, one column a field. IO400 for anything that it does not know.';
