-- A job and the empty table that takes its records as they are sent.

create or replace function sluice.uuid_v7()
returns uuid
language sql volatile parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
select encode(
    set_byte(
        substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        || substring(uuid_send(gen_random_uuid()) from 7),
        -- version 7 in the high half of the seventh byte
        6, (b'0111' || get_byte(uuid_send(gen_random_uuid()), 6)::bit(4))::bit(8)::integer
    ), 'hex'
)::uuid;
end;
comment on function sluice.uuid_v7() is
'A UUID of version 7: begins with the time in milliseconds (RFC 9562, 5.7). Postgres 18 has its
 own.';

create or replace function sluice.judge_header(
    p_format text, p_header text[], p_options jsonb, p_by_psql boolean
)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bad text;
begin
    if p_format is null or p_format not in ('csv', 'ndjson', 'json', 'xlsx', 'parquet') then
        raise exception 'format % is not known', coalesce(quote_literal(p_format), 'null') using
            errcode = 'IO400', hint = 'formats are csv, ndjson, json, xlsx, parquet';
    end if;
    if sluice.is_table(p_format) then
        if coalesce(cardinality(p_header), 0) = 0 then
            raise exception 'the file has no header' using
                errcode = 'IO400', hint = 'the first line of a file names its fields';
        end if;
        if cardinality(p_header) > 1600 then
            raise exception 'the header has % names, 1600 are the most', cardinality(p_header)
                using errcode = 'IO400';
        end if;
        select h into v_bad from unnest(p_header) as h group by h having count(*) > 1 limit 1;
        if found then
            raise exception 'the header has % twice', quote_literal(left(v_bad, 200)) using
                errcode = 'IO400', hint = 'give each field one name';
        end if;
        if exists (select from unnest(p_header) as h where coalesce(btrim(h), '') = '') then
            raise exception 'the header has an empty name' using
                errcode = 'IO400', hint = 'name each field, or take the empty column away';
        end if;
        -- the stage of psql has columns named as the file's
        select h into v_bad from unnest(p_header) as h
        where p_by_psql and (octet_length(h) > 63 or h in (
            '_n', '_malformed', '_problem', '_line_no', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'
        ))
        limit 1;
        if found or p_by_psql and cardinality(p_header) > 1596 then
            raise exception 'psql cannot copy a file with %', coalesce(
                'the field ' || quote_literal(left(v_bad, 200)), 'more than 1596 fields'
            ) using errcode = 'IO400', hint = 'rename or leave out what is too much, or send the file over HTTP';
        end if;
        if strpos(p_options ->> 'null', coalesce(p_options ->> 'delimiter', ',')) > 0 then
            perform sluice.option_error('null', p_options ->> 'null', 'it must not hold the delimiter');
        end if;
    end if;
end;
$$;
comment on function sluice.judge_header(text, text[], jsonb, boolean) is
'Refuses an unknown format and a header that names no fields: IO400.';

create or replace function sluice.stage_shape(
    p_format text, p_header text[], p_by_psql boolean
)
returns text
language sql immutable
return case
    when not sluice.is_table(p_format) then 'line'
    when p_by_psql then 'names'
    when cardinality(p_header) > 200 then 'array'
    else 'cells'
end;
comment on function sluice.stage_shape(text, text[], boolean) is
'How a stage holds its records: JSON lines; columns named as the file''s, for psql; one array of
 cells; or a column a cell.';

create or replace function sluice.create_stage_table(p_job sluice.job)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_columns text;
begin
    v_columns := case p_job.shape
        when 'line' then 'line text'
        when 'array' then 'cells text[]'
        -- named as in the file, so that \copy can hold the file's header against them
        when 'names' then (select string_agg(format('%I text', h), ', ' order by i) from unnest(p_job.header) with ordinality as u (h, i))
        else (select string_agg(format('c%s text', i), ', ' order by i) from generate_series(1, cardinality(p_job.header)) as i)
    end;
    execute format(
        'create %s table %s (_n bigint generated always as identity, %s, _malformed text, _problem text,'
        ' _line_no bigint) with (autovacuum_enabled = false)',
        case when current_setting('sluice.stage', true) = 'unlogged' then 'unlogged' else '' end,
        sluice.stage_name(p_job.job_id), v_columns
    );
    perform sluice.share_table(sluice.stage_name(p_job.job_id));
end;
$$;
comment on function sluice.create_stage_table(sluice.job) is
'Creates the empty stage of a job, for its header and shape.';

create or replace function sluice.create_stage(
    p_format text, p_header text[], p_options jsonb, p_file_name text, p_by_psql boolean
)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    perform sluice.judge_header(p_format, p_header, p_options, p_by_psql);
    insert into sluice.job (job_id, format, file_name, header, shape, options, by_psql, release)
    values (
        sluice.uuid_v7(), p_format, left(p_file_name, 500),
        case when sluice.is_table(p_format) then p_header end,
        sluice.stage_shape(p_format, p_header, p_by_psql), p_options, p_by_psql, sluice.release()
    )
    returning * into v_job;
    perform sluice.create_stage_table(v_job);
    return v_job;
end;
$$;
comment on function sluice.create_stage(text, text[], jsonb, text, boolean) is
'A job in state receiving with its empty stage. IO400 for an unknown format or a header that names
 no fields.';

create or replace function sluice.copy_statements(p_job sluice.job)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_stage constant text := sluice.stage_name(p_job.job_id);
    v_form constant text := case p_job.shape
        when 'line' then '(format csv, quote e''\x01'', delimiter e''\x02'')'
        else format('(format csv, delimiter %L, null %L)',
            coalesce(p_job.options ->> 'delimiter', ','), coalesce(p_job.options ->> 'null', ''))
    end;
    v_cells constant text := case p_job.shape
        when 'line' then 'line'
        when 'array' then 'cells'
        else (
            select string_agg('c' || i, ', ' order by i)
            from generate_series(1, cardinality(p_job.header)) as i
        )
    end;
begin
    return jsonb_build_object(
        'job_id', p_job.job_id,
        'shape', p_job.shape,
        'copy_plain', case when p_job.shape <> 'array'
            then format('copy %s (%s) from stdin with %s', v_stage, v_cells, v_form) end,
        'copy_marked', format(
            'copy %s (%s, _malformed, _problem, _line_no) from stdin with %s', v_stage, v_cells, v_form
        )
    );
end;
$$;
comment on function sluice.copy_statements(sluice.job) is
'What fills the stage of a job: its id, its shape, and the COPY statements for records as they are
 (copy_plain) and for those that were taken apart or are malformed (copy_marked).';

create or replace function sluice.parse_options(p_options jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_object_agg(o.key, sluice.check_option(o.key, o.value)), '{}')
from jsonb_each(p_options) as o
where o.key in ('delimiter', 'null', 'encoding', 'sheet', 'trim');
end;
comment on function sluice.parse_options(jsonb) is
'Those options without which a file cannot be read, in their canonical form. IO400.';
