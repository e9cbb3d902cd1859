-- Imports from psql, with no service running.

create or replace function sluice.import_begin(
    resource text, format text default 'csv', header text[] default null,
    options jsonb default '{}', file_name text default null
)
returns table (job_id uuid, copy_command text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_options constant jsonb := sluice.check_options(options);
    v_job sluice.job;
    v_form text;
    v_columns text;
begin
    if format in ('xlsx', 'parquet') then
        raise exception 'psql cannot read a file of format %', format using
            errcode = 'IO400', hint = 'save it as CSV, or send it over HTTP';
    elsif format = 'json' then
        raise exception 'psql cannot split a JSON array into records' using
            errcode = 'IO400', hint = 'make it NDJSON, or send it over HTTP';
    end if;
    v_job := sluice.create_stage(format, header, v_options, file_name, true);
    -- judged here and again when it begins: a wrong name should be told before the copy
    perform sluice.import_spec(v_job.job_id, resource, header, v_job.shape, v_options);
    update sluice.job as j set resource = import_begin.resource where j.job_id = v_job.job_id;
    v_columns := case
        when v_job.shape = 'line' then 'line'
        else (select string_agg(quote_ident(h), ', ' order by i) from unnest(header) with ordinality as u (h, i))
    end;
    v_form := case
        when v_job.shape = 'line' then '(format csv, quote e''\x01'', delimiter e''\x02'')'
        else concat(
            '(format csv',
            ', header match',
            pg_catalog.format(', delimiter %L', v_options ->> 'delimiter'),
            pg_catalog.format(', null %L', v_options ->> 'null'),
            ')'
        )
    end;
    v_form := replace(replace(v_form, ', delimiter NULL', ''), ', null NULL', '');
    return query select v_job.job_id, pg_catalog.format(
        '\copy %s (%s) from ''%s'' with %s', sluice.stage_name(v_job.job_id), v_columns,
        -- psql reads a backslash in it as it stands
        replace(coalesce(file_name, resource || '.' || format), '''', ''''''), v_form
    );
end;
$$;
comment on function sluice.import_begin(text, text, text[], jsonb, text) is
'Begins an import by psql: header names the file''s columns in order (csv), options as over HTTP.
 Returns the job and the \copy line that fills its stage; then call sluice.import_run, or select
 sluice.import_submit. IO400 for an unknown resource, option or field.';

create or replace function sluice.accept_copied(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state text;
    v_rows bigint;
begin
    select j.state into v_state from sluice.job as j where j.job_id = p_job_id and j.kind = 'import';
    if not found then
        raise exception 'there is no import %', p_job_id using errcode = 'IO404';
    end if;
    if v_state = 'receiving' then
        execute format('select count(*) from %s', sluice.stage_name(p_job_id)) into v_rows;
        perform sluice.accept_import(p_job_id, null, '{}', v_rows, null);
    elsif v_state not in ('pending', 'processing') then
        raise exception 'import % is already %', p_job_id, v_state using errcode = 'IO409';
    end if;
end;
$$;
comment on function sluice.accept_copied(uuid) is
'Accepts an import whose stage was filled by \copy. IO404 unknown, IO409 ended.';

create or replace function sluice.import_submit(job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.accept_copied(job_id);
    perform sluice.enqueue_wakeup();
    return sluice.job_json(job_id);
end;
$$;
comment on function sluice.import_submit(uuid) is
'Lets a worker carry out an import that was begun by sluice.import_begin. Returns the job. IO503
 where the queue is not installed: then call sluice.import_run.';

create or replace procedure sluice.import_run(job_id uuid)
language plpgsql
as $$
declare
    v_done pg_catalog.jsonb;
begin
    perform sluice.accept_copied(job_id);
    commit;
    loop
        v_done := sluice.next_step(job_id);
        commit;
        exit when v_done operator(pg_catalog.->>) 'status' operator(pg_catalog.=) 'idle';
        if v_done operator(pg_catalog.->>) 'status' operator(pg_catalog.=) 'wait' then
            perform pg_catalog.pg_sleep((v_done operator(pg_catalog.->>) 'seconds')::pg_catalog.float8);
        elsif v_done operator(pg_catalog.->>) 'status' operator(pg_catalog.=) 'busy' then
            -- older jobs of tied resources come first: they may have no other hands than these
            v_done := sluice.next_step();
            commit;
            if v_done operator(pg_catalog.->>) 'status' operator(pg_catalog.<>) all (
                array['done', 'claimed']
            ) then
                perform pg_catalog.pg_sleep(0.05);
            end if;
        end if;
    end loop;
end;
$$;
comment on procedure sluice.import_run (uuid) is
'Carries out an import here and now, a commit per step; call it outside a transaction block. Older
 jobs of tied resources go before, and are helped along if need be. The one routine without a pinned
 search_path, since that forbids commit: every name in it is qualified.';

create or replace function sluice.explain_import(job_id uuid)
returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_job sluice.job;
    v_statements jsonb;
begin
    select j.* into v_job from sluice.job as j where j.job_id = explain_import.job_id;
    if not found then
        raise exception 'there is no import %', explain_import.job_id using errcode = 'IO404';
    end if;
    v_statements := coalesce(v_job.statements, sluice.import_statements(sluice.import_spec(
        v_job.job_id, v_job.resource, v_job.header, v_job.shape, v_job.options
    )));
    return query
    select format(e'-- %s\n%s;\n', s.name, s.statement)
    from (
        select k.place, k.name, v_statements ->> k.name as statement
        from unnest(array[
            'create_plan', 'create_work', 'create_extra', 'cast', 'duplicates', 'match',
            'fallback_conflicts', 'self_references', 'insert', 'update', 'sample'
        ]) with ordinality as k (name, place)
        where jsonb_typeof(v_statements -> k.name) = 'string'
        union all
        select k.place, k.name, a.statement
        from unnest(array['', '', '', '', 'duplicates', '', 'fallback_conflicts', 'self_references'])
            with ordinality as k (name, place)
        cross join lateral jsonb_array_elements_text(v_statements -> k.name) as a (statement)
        union all
        select 20 + array_position(
            array[
                'create_plan', 'create_work', 'cast', 'errors', 'duplicates', 'match', 'faults', 'changes',
                'delete', 'update', 'insert'
            ], e.key
        ), format('%s: %s', c ->> 'name', e.key), e.value
        from jsonb_array_elements(coalesce(v_statements -> 'children', '[]')) as c
        cross join lateral jsonb_each_text(c) as e
        where e.value ~ '^(insert|update|delete|create|select|with)'
    ) as s
    order by s.place, s.name, s.statement;
end;
$$;
comment on function sluice.explain_import(uuid) is
'The very SQL that judges and merges an import, in the order in which it runs. IO404 for an unknown
 one.';
