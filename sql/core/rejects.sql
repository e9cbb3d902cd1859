-- The rejected records as the upload had them, to be mended and sent again.

create or replace function sluice.reject_record(
    p_record text, p_malformed boolean, p_n bigint, p_errors jsonb
)
returns text
language sql immutable
begin atomic
select case
    when k.kind = 'raw' then format(
        '{"_raw":%s,"_row":%s,"_errors":%s}', to_json(p_record), p_n, p_errors
    )
    else format(
        -- put in before the closing brace: order and digits stay as they were
        '%s%s"_row":%s,"_errors":%s}', left(b.body, -1),
        case when b.body !~ '^\{\s*\}$' then ',' end, p_n, p_errors
    )
end
from (
    select case
        when p_malformed or p_errors @> '[{"code": "malformed"}]' then 'raw'
        when p_record is not json object then 'raw'
        -- what an earlier round added goes; names are read only where that cannot fail
        when p_record ~ '"_(row|errors|raw)"' and strpos(p_record, '\u') = 0 then 'again'
        else 'plain'
    end as kind
) as k
cross join lateral (
    select case k.kind
        when 'plain' then btrim(translate(p_record, e'\n\r', '  '), e' \t')
        when 'again' then coalesce((
            select '{' || string_agg(
                to_json(e.key)::text || ':' || translate(e.value::text, e'\n\r', '  '), ','
                order by e.place
            ) || '}'
            -- only what is JSON may be cast: the planner does it ahead where it knows the value
            from
                json_each(
                    (case k.kind when 'again' then p_record else '{}' end)::json
                ) with ordinality as e (key, value, place)
            where e.key not in ('_row', '_errors', '_raw')
        ), '{}')
    end as body
) as b;
end;
comment on function sluice.reject_record(text, boolean, bigint, jsonb) is
'A rejected JSON record in one line, with "_row" and "_errors" added; what is no JSON object
 stands as a text under "_raw".';

create or replace function sluice.rejects_sql(
    job_id uuid, format text default null, escape_formulas boolean default false
)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
    v_own constant text := case when sluice.is_table(v_job.format) then 'csv' else v_job.format end;
    v_format constant text := sluice.check_format(coalesce(format, v_own));
    v_lines text;
begin
    if (v_format = 'csv') <> (v_own = 'csv') then
        raise exception 'the upload was %, its rejects cannot be %', v_job.format, v_format using
            errcode = 'IO400', hint = 'leave out format';
    elsif v_format = 'csv' then
        return format(
            e'select\n    %s\nfrom sluice.reject as r\nwhere r.job_id = %L\norder by r.n',
            (
                select string_agg(format('%s as %I', c.expr, c.name), e',\n    ' order by c.place)
                from sluice.reject_columns(v_job, escape_formulas) as c
            ),
            job_id
        );
    end if;
    v_lines := format(
        e'select sluice.reject_record(r.record, r.malformed, r.n, r.errors) as line\n'
        'from sluice.reject as r\nwhere r.job_id = %L\norder by r.n', job_id
    );
    return case v_format when 'json' then sluice.json_array(v_lines) else v_lines end;
end;
$$;
comment on function sluice.rejects_sql(uuid, text, boolean) is
'The query for the rejected records of an import in the upload''s own format, columns and order,
 with _row and _errors, which a new upload ignores; malformed records are one text, _raw.
   select sluice.rejects_sql(''…'') as q \gset
   copy (:q) to stdout with (format csv, header) \g rejects.csv
 escape_formulas: texts that a spreadsheet would run get an apostrophe before them (csv only), which
 no import takes away again: for looking at them, not for sending them.
 IO404 unknown job.';

create or replace function sluice.reject_columns(p_job sluice.job, p_escape boolean)
returns table (place bigint, name text, expr text)
language sql stable
begin atomic
select
    h.place, coalesce(nullif(h.name, ''), 'column ' || h.place),
    format(
        case when p_escape then 'sluice.escape_formula(r.cells[%s])' else 'r.cells[%s]' end, h.place
    )
from unnest(p_job.header) with ordinality as h (name, place)
where h.name not in ('_row', '_errors', '_raw')
union all
-- what an earlier round could not read stays, until it is mended
select
    10001, '_raw',
    format(
        case when p_escape then 'sluice.escape_formula(%s)' else '%s' end,
        format('case when r.malformed then r.record%s end', ' else r.cells[' || e.place || ']')
    )
from (select array_position(p_job.header, '_raw') as place) as e
where e.place is not null
    or exists (select from sluice.reject as r where r.job_id = p_job.job_id and r.malformed)
union all
values (10002, '_row', 'r.n'), (10003, '_errors', 'r.errors');
end;
comment on function sluice.reject_columns(sluice.job, boolean) is
'The columns of the rejects of a CSV upload: its own, then _raw (if a record is or was malformed),
 _row and _errors. A column without a name is called by its place here.';

create or replace function sluice.rejects_sheet(p_job sluice.job)
returns jsonb
language sql stable
begin atomic
with columns as (
    select row_number() over (order by c.place) as k, c.place, coalesce(h.name, c.name) as name
    from sluice.reject_columns(p_job, false) as c
    left join unnest(p_job.header) with ordinality as h (name, place) on c.place = h.place
)
select jsonb_build_object('sheet', jsonb_build_object(
    'name', 'rejects',
    'header', true,
    'columns', (
        select jsonb_agg(jsonb_build_object('name', c.name, 'kind', 'text') order by c.k)
        from columns as c
    ),
    -- the column of each field that errors may name, and that of the errors themselves
    'marks', (
        select coalesce(jsonb_object_agg(c.name, c.k - 1), '{}')
        from columns as c
        where c.place < 10001
    ) || (
        select coalesce(jsonb_object_agg(f.field, c.k - 1), '{}')
        from jsonb_to_recordset(p_job.spec -> 'columns') as f (place bigint, field text)
        inner join columns as c on f.place = c.place
        where f.field is not null
    ),
    'errors', (select c.k - 1 from columns as c where c.place = 10003)
));
end;
comment on function sluice.rejects_sheet(sluice.job) is
'What the service needs to make a workbook of rejects, as of sluice.sheet_reply, and to mark what is
 wrong: the column of each field (marks) and of the errors, counted from 0.';

create or replace function sluice.rejects_query(
    p_job_id uuid, p_format text, p_escape boolean
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(p_job_id);
    v_format constant text := coalesce(
        p_format, case v_job.format when 'parquet' then 'csv' else v_job.format end
    );
    v_query text;
    v_options jsonb := '{}';
    v_reply jsonb;
begin
    if v_job.kind <> 'import' then
        raise exception 'job % is an %', p_job_id, v_job.kind using
            errcode = 'IO404', hint = 'only imports have rejects';
    elsif v_job.format is null then
        raise exception 'the file of import % has not been read', p_job_id using
            errcode = 'IO409', hint = 'rejects have the form of the file, which is not known yet';
    elsif v_format = 'parquet' or v_format <> v_job.format and not (
        sluice.is_table(v_job.format) and sluice.is_table(v_format)
    ) then
        raise exception 'the upload was %, its rejects cannot be %', v_job.format, v_format using
            errcode = 'IO400', hint = 'leave out format';
    end if;
    v_query := sluice.rejects_sql(p_job_id);
    if v_format = 'csv' then
        v_options := jsonb_strip_nulls(jsonb_build_object(
            'delimiter', v_job.options -> 'delimiter', 'null', v_job.options -> 'null',
            'header', false
        ));
        -- the header as a row: a name may be empty or longer than SQL takes
        v_query := (
            select format(
                e'select\n    %s\nfrom (\n'
                '    select 0 as n, %s as names\n    union all\n'
                '    select r.n, null from sluice.reject as r where r.job_id = %L\n'
                ') as l\nleft join sluice.reject as r on r.job_id = %L and r.n = l.n\norder by l.n',
                string_agg(format(
                    'case when l.n = 0 then l.names[%s] else (%s)::text end', c.k, c.expr
                ), e',\n    ' order by c.place),
                format('%L::text[]', array_agg(
                    case when p_escape then sluice.escape_formula(coalesce(h.name, c.name))
                        else coalesce(h.name, c.name) end
                    order by c.place
                )),
                p_job_id, p_job_id
            )
            from (
                select row_number() over (order by d.place) as k, d.*
                from sluice.reject_columns(v_job, p_escape) as d
            ) as c
            left join unnest(v_job.header) with ordinality as h (name, place) on c.place = h.place
        );
    end if;
    v_reply := sluice.copy_reply(v_query, v_format, sluice.csv_options(v_options));
    return v_reply || case v_format
        when 'xlsx' then sluice.rejects_sheet(v_job)
        when 'csv' then '{"content_type": "text/csv; charset=utf-8; header=present"}'::jsonb
        else '{}'
    end;
end;
$$;
comment on function sluice.rejects_query(uuid, text, boolean) is
'The COPY of the rejects of a job, with the delimiter and null marker of its upload.';

create or replace function sluice.rejects_copy(
    job_id uuid, format text default null, escape_formulas boolean default false
)
returns jsonb
language sql volatile
begin atomic
select sluice.pin_output(null);
select sluice.rejects_query(job_id, format, escape_formulas);
end;
comment on function sluice.rejects_copy(uuid, text, boolean) is
'The rejects of a job as a whole COPY, in the shape of sluice.export_copy: as the upload was, so
 that it can be mended and posted again; with escape_formulas (csv only) to be looked at in a
 spreadsheet. format: csv (of a Parquet file, too) or xlsx, for an upload that was a table. IO404 unknown job, IO400 another
 format.';
