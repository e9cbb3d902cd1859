-- Receive: a job and its stage, filled segment by segment by COPY.

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
    if p_format is null or p_format not in ('csv', 'ndjson', 'json') then
        raise exception 'format % is not known', coalesce(quote_literal(p_format), 'null') using
            errcode = 'IO400', hint = 'formats are csv, ndjson, json';
    end if;
    if p_format = 'csv' then
        if coalesce(cardinality(p_header), 0) = 0 then
            raise exception 'the file has no header' using
                errcode = 'IO400', hint = 'the first line of a CSV file names its fields';
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
    when p_format <> 'csv' then 'line'
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
        case when p_format = 'csv' then p_header end,
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
where o.key in ('delimiter', 'null', 'encoding', 'trim');
end;
comment on function sluice.parse_options(jsonb) is
'Those options without which a file cannot be read, in their canonical form. IO400.';

create or replace function sluice.receive_begin(
    format text, header text[], options jsonb, file_name text
)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- the other options are judged when the job is accepted: they may stand behind the file
select sluice.copy_statements(sluice.create_stage(
    format, header, sluice.parse_options(options), file_name, false
));
end;
comment on function sluice.receive_begin(text, text[], jsonb, text) is
'Begins an upload: a job that nobody sees yet, its stage, and the COPY statements for records as
 they are (copy_plain) and for those that were taken apart or are malformed (copy_marked). IO400.';

create or replace function sluice.store_lines(p_job_id uuid, p_lines jsonb)
returns void
language sql volatile
begin atomic
insert into sluice.line_break (job_id, n, line)
select p_job_id, (b.pair ->> 0)::bigint, (b.pair ->> 1)::bigint
from jsonb_array_elements(p_lines) as b (pair);
end;
comment on function sluice.store_lines(uuid, jsonb) is
'Keeps on which lines the records of a segment stand: [[n, line], …].';

create or replace function sluice.receive_segment(
    job_id uuid, records bigint, bytes bigint, lines jsonb
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update sluice.job as j
    set
        received = j.received + records,
        bytes = j.bytes + receive_segment.bytes,
        heartbeat_at = clock_timestamp()
    where j.job_id = receive_segment.job_id and j.state = 'receiving';
    if not found then
        raise exception 'the upload % was given up', job_id using
            errcode = 'IO409', hint = 'send the file again';
    end if;
    perform sluice.store_lines(job_id, lines);
end;
$$;
comment on function sluice.receive_segment(uuid, bigint, bigint, jsonb) is
'Counts a segment in the transaction that copied it. lines: [[n, line], …]: from record n on,
 records stand one per line. IO409 when the sweeper gave the upload up.';

create or replace function sluice.receive_heartbeat(job_id uuid)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
update sluice.job as j
set heartbeat_at = clock_timestamp()
where j.job_id = receive_heartbeat.job_id and j.state = 'receiving';
end;
comment on function sluice.receive_heartbeat(uuid) is
'Says that an upload is still alive; without a sign for 60 s it is swept.';

create or replace function sluice.receive_abort(job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.job as j where j.job_id = receive_abort.job_id and j.state = 'receiving';
    if found then
        execute format('drop table if exists %s', sluice.stage_name(job_id));
    end if;
end;
$$;
comment on function sluice.receive_abort(uuid) is
'Gives an upload up: its job and its stage are gone.';

create or replace function sluice.settle_import(
    p_job sluice.job, p_resource text, p_options jsonb, p_received bigint, p_bytes bigint
)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_options jsonb;
    v_spec jsonb;
begin
    v_options := p_job.options || sluice.check_options(coalesce(p_options, '{}'));
    v_spec := sluice.import_spec(
        p_job.job_id, p_resource, p_job.header, p_job.shape, v_options
    );
    perform sluice.check_role(sluice.key_role(p_job.key_id), v_spec);
    if v_options ->> 'dry_run' = 'write' and p_received > 100000 then
        raise exception 'dry_run=write takes at most 100000 records, the file has %', p_received using
            errcode = 'IO400', hint = 'use dry_run=true, which writes nothing at all';
    end if;
    update sluice.job as j
    set
        resource = v_spec ->> 'resource',
        options = v_options - 'callback_url',
        callback_url = coalesce(v_options ->> 'callback_url', j.callback_url),
        priority = coalesce(v_options ->> 'priority', 'normal'),
        parent_job_id = (v_options ->> 'parent')::uuid,
        state = 'pending',
        -- a fetched one has held its place since it was asked for
        accepted = coalesce(j.accepted, nextval('sluice.acceptance')),
        phase = null,
        worker = null,
        received = p_received,
        bytes = coalesce(p_bytes, pg_relation_size(to_regclass(v_spec ->> 'stage'))),
        ignored_fields = array(
            select c ->> 'header' from jsonb_array_elements(v_spec -> 'columns') as c
            where c ->> 'field' is null or c ->> 'field' = '_ignored' or exists (
                select from jsonb_array_elements(v_spec -> 'fields') as f
                where f ->> 'name' = c ->> 'field' and not (f ->> 'given')::boolean
            )
            order by (c ->> 'place')::integer
        ),
        sessions = case when (v_options ->> 'atomic')::boolean or v_options ->> 'dry_run' = 'write' then 1 end
    where j.job_id = p_job.job_id
    returning j.* into v_job;
    return v_job;
end;
$$;
comment on function sluice.settle_import(sluice.job, text, jsonb, bigint, bigint) is
'Makes a job whose file is in its stage one that waits for its turn: options and header are judged.
 IO400 for what they get wrong.';

create or replace function sluice.accept_import(
    p_job_id uuid, p_resource text, p_options jsonb, p_received bigint, p_bytes bigint
)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id for update;
    if not found then
        raise exception 'there is no import %', p_job_id using errcode = 'IO404';
    elsif v_job.state <> 'receiving' then
        raise exception 'import % is already %', p_job_id, v_job.state using errcode = 'IO409';
    end if;
    if coalesce(p_resource, v_job.resource) is null then
        raise exception 'resource is missing' using
            errcode = 'IO400', hint = 'known resources: ' || coalesce(
                (select string_agg(r.name, ', ' order by r.name) from sluice.resource as r), 'none'
            );
    end if;
    v_job := sluice.settle_import(
        v_job, coalesce(p_resource, v_job.resource), p_options, p_received, p_bytes
    );
    perform sluice.announce('work');
    return v_job;
end;
$$;
comment on function sluice.accept_import(uuid, text, jsonb, bigint, bigint) is
'Makes a received file a job that waits for its turn: resource, options and header are judged.
 IO400 for what they get wrong, IO404 unknown, IO409 not receiving.';

create or replace function sluice.receive_finish(
    job_id uuid, resource text, options jsonb, received bigint, bytes bigint, digest text,
    idempotency_key text default null, idempotency_scope text default null
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    v_job := sluice.accept_import(job_id, resource, options, received, bytes);
    if idempotency_key is not null then
        perform sluice.idempotency_store(idempotency_key, idempotency_scope, v_job.job_id, digest, 202);
    end if;
    perform sluice.enqueue_wakeup();
    return sluice.job_json(v_job.job_id);
end;
$$;
comment on function sluice.receive_finish(uuid, text, jsonb, bigint, bigint, text, text, text) is
'The commit that accepts an upload: state, counts, idempotency result and queue entry together.
 Returns the job. IO400 for what the file or the options get wrong; the upload is then to be
 aborted.';
