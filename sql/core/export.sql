-- Export: query texts for COPY (…) TO, from the registry alone.

create or replace function sluice.json_lines(p_rows text)
returns text
language sql immutable
return format(e'select row_to_json(r.*) as line\nfrom (\n%s\n) as r', p_rows);
comment on function sluice.json_lines(text) is 'Rows as a query of one JSON object a line.';

create or replace function sluice.json_array(p_lines text)
returns text
language sql immutable
-- one statement that streams: union all promises no order, and an empty array has no row
return format('select concat(
    case when row_number() over () = 1 then ''['' else '','' end,
    a.line,
    case when lead(false, 1, true) over () then '']'' end
) as line
from (values (0)) as one
left join (
%s
) as a on true', p_lines);
comment on function sluice.json_array(text) is
'Lines (a query with one column, line) as the lines of one JSON array.';

create or replace function sluice.export_sql(
    resource text,
    format text default 'csv',
    fields text[] default null,
    filters jsonb default '{}',
    ordering text[] default null,
    "limit" bigint default null,
    include text[] default null
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows constant text := sluice.export_rows(
        sluice.table_spec(resource), format, fields, filters, ordering, "limit", include, false
    );
begin
    return case sluice.check_format(format)
        when 'csv' then v_rows
        when 'ndjson' then sluice.json_lines(v_rows)
        else sluice.json_array(sluice.json_lines(v_rows))
    end;
end;
$$;
comment on function sluice.export_sql(text, text, text[], jsonb, text[], bigint, text[]) is
'The query that exports a resource, for copy (…) to. format: csv (a column a field), ndjson, json
 (one column, line). fields: names in order. filters: {"active": true, "role[in]": "admin,editor",
 "created_after": "2024-05-31"}. ordering: {-created_at,name}. include: lists of children.
   select sluice.export_sql(''users'', fields => ''{id,email}'') as q \gset
   copy (:q) to stdout with (format csv, header) \g users.csv
 JSON lines leave COPY unharmed with (format csv, quote e''\x01'', delimiter e''\x02'').
 IO400 for an unknown resource, field, operator or format and for a value of the wrong type.';
