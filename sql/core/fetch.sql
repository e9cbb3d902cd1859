-- Imports whose file a worker fetches: from a URL, a folder, or the file store.

create or replace function sluice.check_source(p_source jsonb)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind text;
    v_text text;
begin
    select s.key, s.value into v_kind, v_text
    from jsonb_each_text(jsonb_strip_nulls(p_source)) as s
    order by s.key
    limit 1;
    if not found or (select count(*) from jsonb_object_keys(jsonb_strip_nulls(p_source))) > 1
        or v_kind not in ('url', 'source_path', 'object') then
        raise exception 'an import comes from one of url, source_path and object' using
            errcode = 'IO400', hint = 'give one of them';
    elsif v_text = '' or length(v_text) > 8192 or v_text ~ '[[:cntrl:]]' then
        perform sluice.option_error(v_kind, v_text, 'it takes up to 8192 printable characters');
    elsif v_kind = 'url' and not sluice.is_http_url(v_text) then
        perform sluice.option_error(
            v_kind, sluice.shown_url(v_text), 'it takes an https URL without user name and password'
        );
    elsif v_kind <> 'url' and v_text ~ '(^|[/\\])\.\.([/\\]|$)' then
        perform sluice.option_error(v_kind, v_text, 'it must not lead upwards by ..');
    elsif v_kind = 'object' and v_text !~ '^imports/.' then
        perform sluice.option_error(v_kind, v_text, 'it takes a path in the file store below imports/');
    end if;
    return jsonb_build_object(v_kind, v_text);
end;
$$;
comment on function sluice.check_source(jsonb) is
'Where a file is to come from: {"url": …}, {"source_path": …} or {"object": …}. IO400 for anything
 else; whether it may be asked is judged by whoever does.';

create or replace function sluice.shown_source(p_source jsonb)
returns jsonb
language sql immutable
return case
    when p_source ? 'url'
        then jsonb_build_object('url', sluice.shown_url(p_source ->> 'url'))
    else p_source
end;
comment on function sluice.shown_source(jsonb) is
'The source of a job as it may be shown: the query of a URL may be a secret.';

create or replace function sluice.source_name(p_source jsonb)
returns text
language sql immutable
return nullif(regexp_replace(
    regexp_replace(
        coalesce(
            sluice.shown_url(p_source ->> 'url'), p_source ->> 'source_path', p_source ->> 'object'
        ),
        '^[a-z]+://[^/]*', '', 'i'
    ),
    '^.*/', ''
), '');
comment on function sluice.source_name(jsonb) is 'The name of the file that a source leads to.';

create or replace function sluice.fetch_create(
    resource text, source jsonb, format text, options jsonb, file_name text,
    digest text default null, idempotency_key text default null, idempotency_scope text default null
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_source constant jsonb := sluice.check_source(source);
    v_options constant jsonb := sluice.check_options(coalesce(options, '{}'));
    v_resource sluice.resource;
    v_job sluice.job;
begin
    perform sluice.check_resource(resource);
    v_resource := sluice.known_resource(resource);
    perform sluice.known_table(v_resource);
    perform sluice.check_bytes();
    if format not in ('csv', 'ndjson', 'json', 'xlsx', 'parquet') then
        raise exception 'format % is not known', quote_literal(left(format, 200)) using
            errcode = 'IO400', hint = 'formats are csv, ndjson, json, xlsx, parquet';
    end if;
    insert into sluice.job (
        job_id, resource, format, file_name, shape, source, options, callback_url, state, phase,
        priority, parent_job_id, accepted, release
    )
    values (
        sluice.uuid_v7(), v_resource.name, format,
        left(coalesce(file_name, sluice.source_name(v_source)), 500), null, v_source,
        v_options - 'callback_url', v_options ->> 'callback_url', 'pending', 'fetch',
        coalesce(v_options ->> 'priority', 'normal'), (v_options ->> 'parent')::uuid,
        nextval('sluice.acceptance'), sluice.release()
    )
    returning * into v_job;
    if idempotency_key is not null then
        perform sluice.idempotency_store(idempotency_key, idempotency_scope, v_job.job_id, digest, 202);
    end if;
    perform sluice.announce('work');
    return sluice.job_json(v_job.job_id);
end;
$$;
comment on function sluice.fetch_create(text, jsonb, text, jsonb, text, text, text, text) is
'An import whose file a worker is to fetch: accepted at once, so that it has its place in the
 order; format null: told by the file''s name or the reply. Returns the job. IO400 for an unknown
 resource or option, or a source that cannot be.';

create or replace function sluice.import_from(
    resource text, url text default null, source_path text default null, object text default null,
    format text default null, options jsonb default '{}', file_name text default null
)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select sluice.fetch_create(
    resource, jsonb_build_object('url', url, 'source_path', source_path, 'object', object),
    format, options, file_name
);
end;
comment on function sluice.import_from(text, text, text, text, text, jsonb, text) is
'Imports a file that a worker fetches: a URL, a path under its SLUICE_IMPORT_DIR, or an object of
 the file store below imports/; options as over HTTP:
 select sluice.import_from(''users'', url => ''https://example.org/users.csv'');
 Returns the job. IO400 for what cannot be; what only the worker can judge fails the job.';

create or replace function sluice.clear_fetch(p_job_id uuid)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.line_break as b where b.job_id = p_job_id;
    delete from sluice.ahead as a where a.job_id = p_job_id;
    delete from sluice.step as s where s.job_id = p_job_id;
    update sluice.job as j
    set header = null, shape = null, received = 0, bytes = 0
    where j.job_id = p_job_id;
    return sluice.drop_tables(p_job_id);
end;
$$;
comment on function sluice.clear_fetch(uuid) is
'Takes away what an attempt to fetch has stored: half a file is worth nothing. False when somebody
 still holds its stage.';

create or replace function sluice.take_fetch()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    loop
        v_job := sluice.take_lease('fetch', 'import');
        if v_job.job_id is null then
            return null;
        end if;
        exit when sluice.clear_fetch(v_job.job_id);
        -- the dead attempt's session has not ended yet
        perform sluice.release_job(v_job.job_id, v_job.attempts, 1);
    end loop;
    return jsonb_build_object(
        'job_id', v_job.job_id,
        'attempt', v_job.attempts,
        'source', v_job.source,
        'format', v_job.format,
        'file_name', v_job.file_name,
        'options', v_job.options
    );
end;
$$;
comment on function sluice.take_fetch() is
'Takes the oldest import whose file is to be fetched: job_id, attempt (the token of its lease),
 source, format, file_name, options. What an attempt before it had stored is gone. Null: none
 waits.';

create or replace function sluice.leased_fetch(p_job_id uuid, p_attempt integer)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    if sluice.hold_job(p_job_id) then
        v_job := sluice.leased_job(p_job_id, p_attempt);
    end if;
    if v_job.phase is distinct from 'fetch' then
        raise exception 'import % is no longer fetched by this attempt', p_job_id using
            errcode = 'IO409';
    end if;
    return v_job;
end;
$$;
comment on function sluice.leased_fetch(uuid, integer) is
'The job that an attempt fetches, locked and held for the transaction. IO409 when it was cancelled
 or given to another.';

create or replace function sluice.fetch_begin(
    job_id uuid, attempt integer, format text, header text[], options jsonb, file_name text
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job := sluice.leased_fetch(job_id, attempt);
begin
    v_job.options := v_job.options || sluice.parse_options(options);
    v_job.shape := sluice.stage_shape(format, header, false);
    v_job.header := case when sluice.is_table(format) then header end;
    perform sluice.judge_header(format, header, v_job.options, false);
    begin
        -- a file that cannot be imported need not be fetched to its end
        perform sluice.import_spec(
            v_job.job_id, v_job.resource, v_job.header, v_job.shape, v_job.options
        );
    exception when lock_not_available then
        -- somebody alters the table: it is judged when the job begins
        null;
    end;
    update sluice.job as j
    set format = fetch_begin.format, header = v_job.header, shape = v_job.shape,
        options = v_job.options, heartbeat_at = clock_timestamp(),
        file_name = coalesce(j.file_name, left(fetch_begin.file_name, 500))
    where j.job_id = v_job.job_id;
    perform sluice.create_stage_table(v_job);
    return sluice.copy_statements(v_job);
end;
$$;
comment on function sluice.fetch_begin(uuid, integer, text, text[], jsonb, text) is
'As sluice.receive_begin, for an attempt to fetch: makes the stage once the header is known. IO400
 for a header or options that cannot be, IO409 when the attempt has lost its lease.';

create or replace function sluice.fetch_segment(
    job_id uuid, attempt integer, records bigint, bytes bigint, lines jsonb
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.leased_fetch(job_id, attempt);
begin
    update sluice.job as j
    set
        received = j.received + records,
        bytes = j.bytes + fetch_segment.bytes,
        heartbeat_at = clock_timestamp()
    where j.job_id = v_job.job_id;
    perform sluice.store_lines(v_job.job_id, lines);
    perform sluice.count_bytes(v_job.key_id, bytes);
    if records > 0 then
        perform sluice.announce('job ' || v_job.job_id);
    end if;
    if v_job.received + records >= sluice.ahead_rows() then
        perform sluice.offer_ahead(v_job.job_id, v_job.resource, '{}');
    end if;
end;
$$;
comment on function sluice.fetch_segment(uuid, integer, bigint, bigint, jsonb) is
'As sluice.receive_segment, for an attempt to fetch. IO409 when it has lost its lease.';

create or replace function sluice.fetch_finish(
    job_id uuid, attempt integer, received bigint, bytes bigint
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job := sluice.leased_fetch(job_id, attempt);
begin
    v_job := sluice.settle_import(v_job, v_job.resource, '{}', received, bytes);
    update sluice.job as j set metrics = j.metrics - 'last_error' where j.job_id = v_job.job_id;
    perform sluice.enqueue_wakeup();
    perform sluice.announce('work');
    perform sluice.announce('job ' || v_job.job_id);
end;
$$;
comment on function sluice.fetch_finish(uuid, integer, bigint, bigint) is
'The whole file is in its stage: the import goes on as any other. IO400 for what the file gets
 wrong, IO409 when the attempt has lost its lease.';

create or replace function sluice.fetch_fail(
    job_id uuid, attempt integer, title text, detail text
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.leased_fetch(job_id, attempt);
begin
    perform sluice.clear_fetch(v_job.job_id);
    perform sluice.fail_job(v_job.job_id, title, detail);
end;
$$;
comment on function sluice.fetch_fail(uuid, integer, text, text) is
'Ends an import whose file cannot be had: failed, with the reason, without rows. IO409 when the
 attempt has lost its lease.';

create or replace function sluice.fetch_release(
    job_id uuid, attempt integer, seconds double precision default 0, error text default null
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.leased_fetch(job_id, attempt);
begin
    perform sluice.clear_fetch(v_job.job_id);
    perform sluice.release_job(v_job.job_id, attempt, seconds, error);
end;
$$;
comment on function sluice.fetch_release(uuid, integer, double precision, text) is
'Gives a fetch back, to be taken again from the start after so many seconds; error: why, if it
 failed. IO409 when the attempt has lost its lease.';
