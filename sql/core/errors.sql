-- The errors of an import: rows, pages, files.

create or replace function sluice.import_errors(
    job_id uuid, only_field text default null, only_code text default null
)
returns table (
    -- a keyword, which is no name without its quotes
    "row" bigint, -- noqa: RF06
    line bigint, field text, code text, "constraint" text, message text, value text,
    sqlstate text
)
language sql stable
rows 1000
begin atomic
select
    r.n,
    r.line,
    e.item ->> 'field',
    e.item ->> 'code',
    e.item ->> 'constraint',
    e.item ->> 'message',
    e.item ->> 'value',
    e.item ->> 'sqlstate'
from sluice.reject as r
cross join lateral jsonb_array_elements(r.errors) with ordinality as e (item, place)
where
    r.job_id = import_errors.job_id
    and (only_field is null or e.item ->> 'field' = only_field)
    and (only_code is null or e.item ->> 'code' = only_code)
order by r.n, e.place;
end;
comment on function sluice.import_errors(uuid, text, text) is
'The errors of an import, in the order of the file: row (record 1 is the first data record), line of
 the file, field, code, constraint or rule, message, value, SQLSTATE of what only the write revealed.
   select * from sluice.import_errors(''…'', only_field => ''email'');';

create or replace function sluice.error_object(p_n bigint, p_line bigint, p_error jsonb)
returns jsonb
language sql immutable
return jsonb_build_object('row', p_n, 'line', p_line) || p_error;
comment on function sluice.error_object(bigint, bigint, jsonb) is
'An error of a record as the API shows it: with row and line.';

create or replace function sluice.first_errors(p_job_id uuid, p_limit integer)
returns jsonb
language sql stable
begin atomic
select coalesce(jsonb_agg(sluice.error_object(e.n, e.line, e.item) order by e.n, e.place), '[]')
from (
    select r.n, r.line, i.item, i.place
    from sluice.reject as r
    cross join lateral jsonb_array_elements(r.errors) with ordinality as i (item, place)
    where r.job_id = p_job_id
    order by r.n, i.place
    limit p_limit
) as e;
end;
comment on function sluice.first_errors(uuid, integer) is 'The first errors of a job as JSON.';

create or replace function sluice.errors_json(
    job_id uuid,
    field text default null,
    code text default null,
    "limit" bigint default 100,
    cursor text default null,
    "offset" bigint default 0
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_filter constant text := md5(concat_ws('|', job_id, quote_nullable(field), quote_nullable(code)));
    v_after constant text[] := sluice.read_cursor(cursor, v_filter, '{bigint,bigint}');
    v_limit constant bigint := coalesce("limit", 100);
    v_page jsonb;
    v_next text;
begin
    perform sluice.visible_job(job_id);
    if v_limit not between 1 and 1000 or "offset" < 0 then
        raise exception 'limit must be from 1 to 1000 and offset 0 or more' using errcode = 'IO400';
    elsif cursor is not null and "offset" > 0 then
        raise exception 'cursor and offset exclude each other' using
            errcode = 'IO400', hint = 'use one of them';
    end if;
    with found as (
        select r.n, r.line, i.item, i.place
        from sluice.reject as r
        cross join lateral jsonb_array_elements(r.errors) with ordinality as i (item, place)
        where
            r.job_id = errors_json.job_id
            and r.n >= coalesce(v_after[1]::bigint, 0)
            and (v_after is null or (r.n, i.place) > (v_after[1]::bigint, v_after[2]::bigint))
            and (errors_json.field is null or i.item ->> 'field' = errors_json.field)
            and (errors_json.code is null or i.item ->> 'code' = errors_json.code)
        order by r.n, i.place
        limit v_limit + 1 offset coalesce("offset", 0)
    ),
    page as (
        select f.*, row_number() over (order by f.n, f.place) as k from found as f
    )
    select
        coalesce(
            jsonb_agg(sluice.error_object(p.n, p.line, p.item) order by p.k)
            filter (where p.k <= v_limit), '[]'
        ),
        case when count(*) > v_limit then sluice.new_cursor(v_filter, array[
            min(p.n) filter (where p.k = v_limit), min(p.place) filter (where p.k = v_limit)
        ]::text[]) end
    into v_page, v_next
    from page as p;
    return jsonb_build_object('errors', v_page, 'next', v_next);
end;
$$;
comment on function sluice.errors_json(uuid, text, text, bigint, text, bigint) is
'A page of a job''s errors: {"errors": […], "next": cursor or null}. IO404 unknown job, IO400 a bad
 cursor or limit (1 to 1000).';

create or replace function sluice.errors_sql(
    job_id uuid, format text default 'csv', field text default null, code text default null,
    escape_formulas boolean default true
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_from constant text := format(
        ' from sluice.import_errors(%L, %L, %L) as e', job_id, field, code
    );
    v_rows constant text := 'select e.*' || v_from;
begin
    perform sluice.visible_job(job_id);
    return case sluice.check_format(format)
        when 'csv' then case
            -- these three repeat what was sent
            when escape_formulas then 'select e.row, e.line, sluice.escape_formula(e.field) as field,'
                ' e.code, e."constraint", sluice.escape_formula(e.message) as message,'
                ' sluice.escape_formula(e.value) as value, e.sqlstate' || v_from
            else v_rows
        end
        when 'ndjson' then sluice.json_lines(v_rows)
        else sluice.json_array(sluice.json_lines(v_rows))
    end;
end;
$$;
comment on function sluice.errors_sql(uuid, text, text, text, boolean) is
'The query that exports the errors of a job, for copy (…) to: csv, or one column, line.
 escape_formulas: texts that a spreadsheet would run get an apostrophe before them (csv only).';

create or replace function sluice.errors_copy(
    job_id uuid, format text default 'csv', field text default null, code text default null,
    escape_formulas boolean default true
)
returns jsonb
language sql volatile
begin atomic
select sluice.pin_output(null);
select sluice.copy_reply(
    sluice.errors_sql(job_id, format, field, code, escape_formulas),
    format, sluice.csv_options('{}')
);
end;
comment on function sluice.errors_copy(uuid, text, text, text, boolean) is
'The errors of a job as a whole COPY, in the shape of sluice.export_copy.';
