create or replace function sluice.take_begun(p_job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_step sluice.step;
    v_busy uuid[] := '{}';
begin
    loop
        -- locks of a job that cannot be worked on now go with the subtransaction
        begin
            select s.* into v_step
            from sluice.job as j
            inner join sluice.step as s on j.job_id = s.job_id and j.phase = s.kind
            where
                j.state = 'processing' and j.kind = 'import' and s.state = 'todo'
                and (p_job_id is null or j.job_id = p_job_id) and j.job_id <> all(v_busy)
                and sluice.serves(j.key_id)
                and (s.not_before is null or s.not_before <= clock_timestamp())
                and sluice.is_free(s.claimed_at)
            order by j.accepted, s.step_id
            limit 1
            for update of s skip locked;
            if not found then
                return null;
            end if;
            select j.* into v_job from sluice.job as j where j.job_id = v_step.job_id;
            exit when v_job.state = 'processing' and v_job.phase = v_step.kind
                and sluice.hold_job(v_job.job_id) and sluice.hold_slot(v_job);
            raise exception 'busy' using errcode = 'IO423';
        exception when sqlstate 'IO423' then
            v_busy := v_busy || v_step.job_id;
        end;
    end loop;
    if v_job.spec ->> 'login' is not null then
        return sluice.take_fenced(v_job, v_step);
    elsif not sluice.outlasts(v_job) then
        return sluice.carry_out(v_job, v_step);
    end if;
    return sluice.claim_step(v_job, v_step);
end;
$$;
comment on function sluice.take_begun(uuid) is
'Claims or (small jobs) carries out a step of a job that has begun. Null: there is none.';

create or replace function sluice.take_through(p_job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_busy uuid[] := '{}';
begin
    loop
        begin
            select j.* into v_job
            from sluice.job as j
            where
                j.state = 'processing' and j.kind = 'import'
                and (p_job_id is null or j.job_id = p_job_id) and j.job_id <> all(v_busy)
                and (j.not_before is null or j.not_before <= clock_timestamp())
                and sluice.is_free(j.claimed_at)
                and not exists (
                    select from sluice.step as s
                    where s.job_id = j.job_id and s.kind = j.phase and s.state = 'todo'
                )
            order by j.accepted
            limit 1
            for update of j skip locked;
            if not found then
                return null;
            end if;
            -- asked again under the lock: another session may just have gone on
            exit when not sluice.has_steps(v_job) and sluice.hold_job(v_job.job_id);
            raise exception 'busy' using errcode = 'IO423';
        exception when sqlstate 'IO423' then
            v_busy := v_busy || v_job.job_id;
        end;
    end loop;
    if not sluice.outlasts(v_job) then
        return sluice.move_on(v_job);
    end if;
    return sluice.claim_job(v_job);
end;
$$;
comment on function sluice.take_through(uuid) is
'Takes a job whose phase has no step left to the next, or claims to. Null: there is none.';

create or replace function sluice.take_waiting(p_job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_full constant boolean := sluice.is_full();
    v_busy uuid[] := '{}';
begin
    loop
        begin
            v_job.job_id := sluice.startable_job(p_job_id, v_busy, v_full, false);
            if v_job.job_id is null then
                return null;
            end if;
            select j.* into v_job from sluice.job as j where j.job_id = v_job.job_id;
            exit when sluice.hold_job(v_job.job_id) and sluice.hold_ahead(v_job.job_id)
                and (sluice.outlasts(v_job) or sluice.may_start(v_job));
            raise exception 'busy' using errcode = 'IO423';
        exception when sqlstate 'IO423' then
            v_busy := v_busy || v_job.job_id;
        end;
    end loop;
    if sluice.outlasts(v_job) then
        return sluice.claim_job(v_job);
    end if;
    return sluice.move_on(v_job);
end;
$$;
comment on function sluice.take_waiting(uuid) is
'Begins a job that waits for its turn, or claims to. Null: there is none.';

create or replace function sluice.nothing_taken(p_job_id uuid)
returns jsonb
language plpgsql volatile
-- as for sluice.first_waiting
set enable_sort = off
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wait numeric;
begin
    select extract(epoch from min(t.not_before) - clock_timestamp()) into v_wait
    from (
        select s.not_before
        from sluice.job as j
        inner join sluice.step as s on j.job_id = s.job_id and j.phase = s.kind
        where j.state = 'processing' and s.state = 'todo' and s.not_before > clock_timestamp()
            and (p_job_id is null or j.job_id = p_job_id)
        union all
        (
            select j.not_before
            from sluice.job as j
            where
                j.state in ('pending', 'processing') and j.not_before > statement_timestamp()
                and j.kind = 'import' and j.phase is distinct from 'fetch'
                and (p_job_id is null or j.job_id = p_job_id)
            order by j.not_before
            limit 1
        )
    ) as t;
    if v_wait is not null then
        return jsonb_build_object('status', 'wait', 'seconds', greatest(v_wait, 0.01));
    elsif exists (
        select from sluice.job as j
        where
            j.state in ('pending', 'processing') and j.kind = 'import'
            and (j.job_id = p_job_id or p_job_id is null and j.phase is distinct from 'fetch')
    ) then
        return '{"status": "busy"}';
    end if;
    return '{"status": "idle"}';
end;
$$;
comment on function sluice.nothing_taken(uuid) is
'Why sluice.next_step has taken nothing: wait, busy or idle.';

create or replace function sluice.go_through(p_done jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_step sluice.step;
begin
    -- a small job is through in one transaction: a commit costs more than its steps. What was done
    -- has written the job's row: no other session can end a step of it, or it, until the commit
    loop
        select j.* into v_job from sluice.job as j
        where j.job_id = (p_done ->> 'job_id')::uuid and j.state = 'processing' and j.received <= 1000;
        exit when not found or p_done ->> 'error' is not null;
        select s.* into v_step
        from sluice.step as s
        where s.job_id = v_job.job_id and s.kind = v_job.phase and s.state = 'todo'
            and (s.not_before is null or s.not_before <= clock_timestamp())
            and sluice.is_free(s.claimed_at)
        order by s.step_id
        limit 1
        for update of s skip locked;
        if found then
            exit when v_job.spec ->> 'login' is not null or not sluice.hold_slot(v_job);
            p_done := sluice.carry_out(v_job, v_step);
        else
            exit when sluice.has_steps(v_job) or v_job.not_before > clock_timestamp();
            p_done := sluice.move_on(v_job);
        end if;
    end loop;
    return p_done;
end;
$$;
comment on function sluice.go_through(jsonb) is
'Goes on with a job of at most 1,000 records, of which a step has just been done, to its end, or
 until something must be tried again later. Returns what was done last.';

create or replace function sluice.tell_step(p_done jsonb)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select p_done || coalesce((
    select jsonb_build_object(
        'resource', j.resource, 'received', j.received, 'rejected', j.rejected,
        'done', case when j.completed_at is null then j.done else j.received - j.unprocessed end
    )
    from sluice.job as j
    where p_done ->> 'status' = 'done' and j.job_id = (p_done ->> 'job_id')::uuid
), '{}');
end;
comment on function sluice.tell_step(jsonb) is
'What was done, with how far its job is, for the log line of the step.';

create or replace function sluice.next_step(job_id uuid default null)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done jsonb;
begin
    v_done := coalesce(
        sluice.take_claim(),
        sluice.take_begun(next_step.job_id),
        sluice.take_through(next_step.job_id),
        sluice.take_waiting(next_step.job_id),
        case when next_step.job_id is null then sluice.take_ahead() end,
        sluice.nothing_taken(next_step.job_id)
    );
    if v_done ->> 'status' = 'done' and v_done ->> 'error' is null then
        v_done := sluice.go_through(v_done);
    end if;
    return sluice.tell_step(v_done);
end;
$$;
comment on function sluice.next_step(uuid) is
'Takes one step of the oldest job that may go on (or of the given one) and carries it out, in the
 caller''s transaction: commit after it. Returns {"status": claimed | done | busy | wait | idle, …}.
 claimed: a step, or the way to the next phase (kind: step, job), is noted as begun by this session;
 commit, and call again at once in the same session, which carries it out; done: call again at once, with what was done and how far the job is; busy: other sessions hold the rest; wait: a
 retry is due in "seconds"; idle: nothing to do. claimed with a login: call it in a transaction that
 stays open while a session of that login does what the reply (fenced) says by sluice.fence_work, then
 call sluice.fence_close in it. Any number of sessions may call it at the same time.';
