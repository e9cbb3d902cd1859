-- Cancel: whoever is at work is stopped, then the job ends here, in the caller's transaction.

create or replace function sluice.interrupt_workers(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_cancel_backend(l.pid)
    from pg_locks as l
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
        and (l.classid::bigint << 32 | l.objid::bigint) = sluice.work_key(p_job_id)
        and l.pid <> pg_backend_pid();
exception when insufficient_privilege then
    -- sessions of other roles end their step, and begin no other while somebody waits for them
    null;
end;
$$;
comment on function sluice.interrupt_workers(uuid) is
'Cancels the running statement of each session that works on a job.';

create or replace function sluice.hold_job_alone(p_job_id uuid)
returns boolean
language plpgsql volatile
set lock_timeout = '100ms'
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(sluice.work_key(p_job_id));
    perform from sluice.job as j where j.job_id = p_job_id for update;
    return true;
exception when lock_not_available then
    return false;
end;
$$;
comment on function sluice.hold_job_alone(uuid) is
'Locks a job against all who would work on it; false when somebody still does.';

create or replace function sluice.cancel_job(job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job := sluice.visible_job(job_id);
    v_until constant timestamptz := clock_timestamp() + interval '10 seconds';
begin
    while v_job.completed_at is null and not sluice.hold_job_alone(job_id) loop
        if clock_timestamp() > v_until then
            raise exception 'job % is still at work and does not stop', job_id using
                errcode = 'IO503', hint = 'cancel it again in a while; its step may not be interruptible';
        end if;
        perform sluice.interrupt_workers(job_id);
        v_job := sluice.visible_job(job_id);
    end loop;
    v_job := sluice.visible_job(job_id);
    if v_job.spec ->> 'login' is not null and v_job.phase = 'merge'
        and (v_job.options ->> 'atomic')::boolean then
        -- all is written, by a worker that died before it could say so
        perform sluice.carry_out(v_job, s, sluice.fence_outcome(v_job, s))
        from sluice.step as s
        where s.job_id = cancel_job.job_id and s.kind = 'merge' and s.state = 'todo'
            and sluice.fence_outcome(v_job, s) is not null;
        v_job := sluice.visible_job(job_id);
    end if;
    if v_job.completed_at is not null then
        raise exception 'job % is already %', job_id, v_job.state using
            errcode = 'IO409', hint = 'only a job that waits or runs can be cancelled';
    end if;
    perform sluice.stop_job(job_id, 'cancelled', null);
    return sluice.job_json(job_id);
end;
$$;
comment on function sluice.cancel_job(uuid) is
'Cancels a job that waits or runs: its running statements are cancelled, what is merged stays and is
 counted, the rest is unprocessed; an atomic import leaves nothing. Its data is kept for
 sluice.retry_job. Returns the job. IO404 unknown, IO409 ended already, IO503 when a session at work
 does not stop within 10 s.';
