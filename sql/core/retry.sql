-- Retry: what a job left undone, judged again in a new job.

create or replace function sluice.fill_from_rejects(p_from sluice.job, p_to sluice.job)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_columns text;
    v_cells text;
    v_rows bigint;
begin
    if p_to.shape = 'line' then
        v_columns := 'line';
        v_cells := 'case when not r.malformed then r.record end';
    elsif p_to.shape = 'array' then
        v_columns := 'cells';
        v_cells := 'r.cells';
    else
        select
            string_agg(
                case when p_to.shape = 'names' then quote_ident(h.name) else 'c' || h.place end, ', '
                order by h.place
            ),
            string_agg(format('r.cells[%s]', h.place), ', ' order by h.place)
        into v_columns, v_cells
        from unnest(p_to.header) with ordinality as h (name, place);
    end if;
    execute format($sql$
        insert into %s (%s, _malformed, _problem, _line_no)
        select %s, case when r.malformed then r.record end, e.message, r.line
        from sluice.reject as r
        left join lateral (
            select x.error ->> 'message' as message
            from jsonb_array_elements(r.errors) with ordinality as x (error, place)
            where r.malformed and x.error ->> 'code' = 'malformed'
            order by x.place
            limit 1
        ) as e on true
        where r.job_id = $1
        order by r.n
    $sql$, sluice.stage_name(p_to.job_id), v_columns, v_cells)
    using p_from.job_id;
    get diagnostics v_rows = row_count;
    return v_rows;
end;
$$;
comment on function sluice.fill_from_rejects(sluice.job, sluice.job) is
'Fills the stage of a new job with the rejects of an old one: in the order of the file, with their
 lines in it; those that were malformed still are. Returns how many.';

create or replace function sluice.take_stage_over(p_from sluice.job, p_to sluice.job)
returns void
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name constant text := sluice.stage_name(p_to.job_id);
    v_whole boolean := false;
begin
    if to_regclass(sluice.stage_name(p_from.job_id)) is not null then
        execute format(
            'alter table %s rename to %s',
            sluice.stage_name(p_from.job_id), split_part(v_name, '.', 2)
        );
        -- an unlogged one is empty after a crash
        execute format('select %s = 0 or exists (select from %s)', p_from.received, v_name) into v_whole;
    end if;
    if not v_whole then
        raise exception 'the data of import % was lost', p_from.job_id using
            errcode = 'IO409', hint = 'send the file again';
    end if;
    update sluice.line_break as b set job_id = p_to.job_id where b.job_id = p_from.job_id;
    update sluice.job as j set keeps_stage = false where j.job_id = p_from.job_id;
exception when lock_not_available then
    raise exception 'somebody reads the data of import %', p_from.job_id using
        errcode = 'IO503', hint = 'a dump of the database, perhaps; retry it when that is through';
end;
$$;
comment on function sluice.take_stage_over(sluice.job, sluice.job) is
'Makes the stage of an ended job that of a new one. IO409 when it was lost, IO503 when somebody
 holds it.';

create or replace function sluice.refuse_retry(p_job sluice.job)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_next uuid;
begin
    if p_job.completed_at is null then
        raise exception 'import % is still %', p_job.job_id, p_job.state using
            errcode = 'IO409', hint = 'wait for its end, or cancel it';
    elsif p_job.state = 'completed' then
        raise exception 'import % left nothing to retry', p_job.job_id using
            errcode = 'IO409', hint = case
                when p_job.rejected > 0
                    then 'it kept none of its rejects (max_errors): send the file again'
                else 'none of its records was rejected'
            end;
    end if;
    select j.job_id into v_next from sluice.job as j
    where j.parent_job_id = p_job.job_id
    order by j.created_at desc
    limit 1;
    raise exception 'the data of import % is no longer here', p_job.job_id using
        errcode = 'IO409', hint = case
            when v_next is null then 'it has expired: send the file again'
            else format('it went to import %s: retry that one', v_next)
        end;
end;
$$;
comment on function sluice.refuse_retry(sluice.job) is
'Says why an import cannot be retried: IO409.';

create or replace function sluice.retry_import(p_job sluice.job, p_options jsonb)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_new sluice.job := p_job;
    v_options constant jsonb := p_options || jsonb_build_object('parent', p_job.job_id);
    v_rejects constant boolean := p_job.state = 'completed' and exists (
        select from sluice.reject as r where r.job_id = p_job.job_id
    );
    v_option text;
begin
    if not v_rejects and not p_job.keeps_stage then
        if p_job.state not in ('failed', 'cancelled') or p_job.source is null then
            perform sluice.refuse_retry(p_job);
        end if;
        return sluice.fetch_create(
            p_job.resource, p_job.source, p_job.format, jsonb_strip_nulls(jsonb_build_object(
                'callback_url', p_job.callback_url
            )) || p_job.options || v_options, p_job.file_name
        ) ->> 'job_id';
    end if;
    select k into v_option from jsonb_object_keys(p_options) as k
    where k in ('delimiter', 'encoding', 'null', 'sheet', 'trim')
    limit 1;
    if found then
        perform sluice.option_error(
            v_option, p_options ->> v_option,
            'the file is not read again: it was taken apart as it came'
        );
    end if;
    insert into sluice.job (
        job_id, resource, format, file_name, header, shape, options, by_psql, source, callback_url,
        release
    )
    values (
        sluice.uuid_v7(), p_job.resource, p_job.format, p_job.file_name, p_job.header, p_job.shape,
        p_job.options, p_job.by_psql, p_job.source, p_job.callback_url, sluice.release()
    )
    returning * into v_new;
    if v_rejects then
        perform sluice.create_stage_table(v_new);
        v_new.received := sluice.fill_from_rejects(p_job, v_new);
    else
        perform sluice.take_stage_over(p_job, v_new);
        v_new.received := p_job.received;
        v_new.bytes := p_job.bytes;
    end if;
    perform sluice.accept_import(
        v_new.job_id, null, v_options, v_new.received, nullif(v_new.bytes, 0)
    );
    return v_new.job_id;
end;
$$;
comment on function sluice.retry_import(sluice.job, jsonb) is
'A new import of what an ended one left: of a completed one its rejects, of a failed or cancelled
 one its whole data, of one whose file never came the file again.';

create or replace function sluice.retry_job(
    job_id uuid, options jsonb default '{}', digest text default null,
    idempotency_key text default null, idempotency_scope text default null
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job := sluice.visible_job(job_id);
    v_new uuid;
begin
    -- whoever asks: it stays within the role or login of the key that it was made with
    if coalesce((sluice.present_key()).role, (sluice.present_key()).login) is null and exists (
        select from sluice.api_key as k
        where k.key_id = v_job.key_id and coalesce(k.role, k.login) is not null
    ) then
        perform sluice.go_on_for(v_job.key_id);
    end if;
    -- two retries at once: the second finds the data gone
    select j.* into v_job from sluice.job as j where j.job_id = v_job.job_id for update;
    if v_job.kind = 'import' then
        v_new := sluice.retry_import(v_job, sluice.check_options(coalesce(options, '{}')));
    elsif coalesce(options, '{}') = '{}' then
        v_new := sluice.retry_export(job_id);
    else
        raise exception 'an export is retried as it was asked for, without options' using
            errcode = 'IO400', hint = 'ask for another export';
    end if;
    if idempotency_key is not null then
        perform sluice.idempotency_store(idempotency_key, idempotency_scope, v_new, digest, 202);
    end if;
    -- without the service: call sluice.import_run(…)
    if to_regclass('procrastinate.procrastinate_jobs') is not null then
        perform sluice.enqueue_wakeup();
    end if;
    return sluice.job_json(v_new);
end;
$$;
comment on function sluice.retry_job(uuid, jsonb, text, text, text) is
'Judges again what a job left undone, in a new job linked to it, and returns that one. Of a
 completed import its stored rejects; of a failed or cancelled one all of its data, which then belongs to the
 new job (records that were merged already come out unchanged), or its source is fetched again; an
 export is made again. options lie over those of the old job: {"mode": "insert"}. Without the
 service, call sluice.import_run with the new id. IO404 unknown, IO409 still at work, or nothing left
 to retry; IO400 for a bad option.';
