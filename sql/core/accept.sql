-- Accept: what has been received becomes a job that waits for its turn.

create or replace function sluice.ignored_fields(p_spec jsonb)
returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select array(
    select c ->> 'header' from jsonb_array_elements(p_spec -> 'columns') as c
    where c ->> 'field' is null or c ->> 'field' = '_ignored' or exists (
        select from jsonb_array_elements(p_spec -> 'fields') as f
        where f ->> 'name' = c ->> 'field' and not (f ->> 'given')::boolean
    )
    order by (c ->> 'place')::integer
);
end;
comment on function sluice.ignored_fields(jsonb) is
'The names of a file''s header that an import leaves aside.';

create or replace function sluice.judge_import(
    p_job sluice.job, p_resource text, p_options jsonb
)
returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec constant jsonb := sluice.import_spec(
        p_job.job_id, p_resource, p_job.header, p_job.shape, p_options
    );
begin
    perform sluice.check_role(
        coalesce(sluice.key_login(p_job.key_id), sluice.key_role(p_job.key_id)), v_spec
    );
    return sluice.ignored_fields(v_spec);
end;
$$;
comment on function sluice.judge_import(sluice.job, text, jsonb) is
'Judges the header and options of a file against its table; returns the names that are ignored.
 IO400 for what they get wrong, IO403 for what the role of its key may not write.';

create or replace function sluice.settle_import(
    p_job sluice.job, p_resource text, p_options jsonb, p_received bigint, p_bytes bigint
)
returns sluice.job
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_options jsonb;
    v_resource text := (sluice.known_resource(p_resource)).name;
    v_ignored text[] := '{}';
begin
    v_options := p_job.options || sluice.check_options(coalesce(p_options, '{}'));
    begin
        v_ignored := sluice.judge_import(p_job, p_resource, v_options);
    exception when lock_not_available then
        -- somebody alters the table: a file that is here is kept, and judged when its job begins
        null;
    end;
    if v_options ->> 'dry_run' = 'write' and p_received > 100000 then
        raise exception 'dry_run=write takes at most 100000 records, the file has %', p_received using
            errcode = 'IO400', hint = 'use dry_run=true, which writes nothing at all';
    end if;
    update sluice.job as j
    set
        resource = v_resource,
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
        bytes = coalesce(p_bytes, pg_relation_size(to_regclass(sluice.stage_name(p_job.job_id)))),
        ignored_fields = v_ignored,
        sessions = case when (v_options ->> 'atomic')::boolean or v_options ->> 'dry_run' = 'write' then 1 end
    where j.job_id = p_job.job_id
    returning j.* into v_job;
    return v_job;
end;
$$;
comment on function sluice.settle_import(sluice.job, text, jsonb, bigint, bigint) is
'Makes a job whose file is in its stage one that waits for its turn: options and header are judged;
 the header not yet, while somebody alters the table. IO400 for what they get wrong.';

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
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id for no key update;
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
    -- segments are not waited for at their commits: a crash since may have taken the last of them
    perform from sluice.job as j
    where j.job_id = receive_finish.job_id and j.state = 'receiving' and j.received <> receive_finish.received;
    if found then
        raise exception 'a part of the upload was lost in a crash of Postgres' using
            errcode = 'IO503', hint = 'send the file again: nothing of it was accepted';
    end if;
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
 aborted. IO503 when a crash of Postgres has taken a part of it.';
