-- What is removed: by hand, and when its time is over.

create or replace function sluice.remove_job(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into sluice.stale_file (path)
    select f.path from sluice.export_file as f where f.job_id = p_job_id
    on conflict do nothing;
    -- what somebody holds now is dropped by the sweeper: it has no job any more
    perform sluice.drop_tables(p_job_id);
    delete from sluice.job as j where j.job_id = p_job_id;
end;
$$;
comment on function sluice.remove_job(uuid) is
'Removes a job with all that belongs to it; its files are left to a worker to remove.';

create or replace function sluice.delete_job(job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job := sluice.visible_job(job_id);
begin
    select j.* into v_job from sluice.job as j where j.job_id = v_job.job_id for update;
    if v_job.completed_at is null then
        raise exception 'job % is still %', v_job.job_id, v_job.state using
            errcode = 'IO409', hint = 'cancel it first, or wait for its end';
    end if;
    perform sluice.remove_job(v_job.job_id);
end;
$$;
comment on function sluice.delete_job(uuid) is
'Removes an ended job with its rejects, results, stage and files. IO404 unknown, IO409 still at
 work.';

create or replace function sluice.expire()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until constant timestamptz := clock_timestamp() + interval '2 seconds';
    v_stage_ttl constant interval
        := make_interval(secs => sluice.setting('stage_ttl', '259200')::double precision);
    v_id uuid;
    v_jobs integer := 0;
    v_stages integer := 0;
    v_keys integer;
begin
    for v_id in
        select j.job_id from sluice.job as j
        where
            -- statement_timestamp: the index finds what is older; of clock_timestamp it cannot know
            j.expires_at < statement_timestamp() and j.completed_at is not null
            and not sluice.idempotency_holds(j.job_id)
        order by j.expires_at
        limit 500
        for update skip locked
    loop
        perform sluice.remove_job(v_id);
        v_jobs := v_jobs + 1;
        exit when clock_timestamp() > v_until;
    end loop;
    for v_id in
        select j.job_id from sluice.job as j
        where j.keeps_stage and j.completed_at < statement_timestamp() - v_stage_ttl
        order by j.completed_at
        limit 500
        for update skip locked
    loop
        -- one that somebody holds is dropped by the sweeper
        update sluice.job as j
        set keeps_stage = false, swept = sluice.drop_tables(v_id)
        where j.job_id = v_id;
        delete from sluice.line_break as b where b.job_id = v_id;
        v_stages := v_stages + 1;
        exit when clock_timestamp() > v_until;
    end loop;
    -- of requests that died: they are free again after a minute, but only for who asks
    delete from sluice.idempotency as i
    where i.state = 'receiving' and i.beat_at < statement_timestamp() - interval '1 hour';
    get diagnostics v_keys = row_count;
    return jsonb_build_object('jobs', v_jobs, 'stages', v_stages, 'keys', v_keys);
end;
$$;
comment on function sluice.expire() is
'Removes ended jobs past their expiry (sluice.job_ttl; not while an Idempotency-Key needs them), the
 data of failed and cancelled imports (sluice.stage_ttl, 3 days) and keys of requests that died, for
 about 2 s at most: call it again while it removes any. Returns how many of each.';
