-- Claims: what a session is about to do is committed before it does it, so that work which ends
-- its session or its worker again and again is known, and bounded.

create or replace function sluice.outlasts(p_job sluice.job)
returns boolean
language sql volatile
-- a small job is through in one transaction, which needs no claim, unless it has been tried in vain
return p_job.received > 1000 or p_job.created_at < clock_timestamp() - interval '2 seconds';
comment on function sluice.outlasts(sluice.job) is
'Whether a job is worth a claim before each of its steps: more than 1,000 records, or waiting for
 more than 2 s.';

create or replace function sluice.is_free(p_claimed_at timestamptz)
returns boolean
language sql volatile
return p_claimed_at is null or p_claimed_at < clock_timestamp() - interval '2 seconds';
comment on function sluice.is_free(timestamptz) is
'Whether a claim, or none, leaves its work to others: nobody has begun it within 2 s. Work that was
 begun is guarded by its row''s lock.';

create or replace function sluice.session_name()
returns text
language sql stable
return sluice.setting('worker', 'session ' || pg_backend_pid());
comment on function sluice.session_name() is
'Who this session is: its worker (host:pid), or the number of its backend.';

create or replace function sluice.hold_slot(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_slots constant integer := coalesce(
        p_job.sessions, sluice.setting('sessions_per_import', '0')::integer
    );
begin
    for v_slot in 1 .. v_slots loop
        if pg_try_advisory_xact_lock(hashtextextended(format('%s %s', p_job.job_id, v_slot), 1)) then
            return true;
        end if;
    end loop;
    return v_slots = 0;
end;
$$;
comment on function sluice.hold_slot(sluice.job) is
'Takes one of the places of a job for sessions that execute its steps, until the transaction ends:
 sluice.sessions_per_import, 0: any number; one for atomic jobs and after deadlocks. False: none is
 left.';

create or replace function sluice.claimed(p_claim jsonb, p_job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- known to this session alone; undone with the transaction. Its commit waits for the disk: what
    -- crashes Postgres at once would never be counted
    perform set_config('sluice.claim', p_claim::text, false);
    return jsonb_build_object(
        'status', 'claimed', 'job_id', p_job_id, 'kind', case when p_claim ? 'step' then 'step' else 'job' end
    );
end;
$$;
comment on function sluice.claimed(jsonb, uuid) is
'Notes a claim in the session that made it, and is the reply to it.';

create or replace function sluice.given_up(p_job_id uuid, p_what text, p_tries integer)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.fail_job(p_job_id, 'The import could not go on', format(
        'the %s was begun %s times and never came to its end: each time its session or its worker '
        'was ended, the statement was cancelled from outside (statement_timeout?), or the disk had no '
        'room for a note of how it went. '
        'The logs of Postgres and of the workers say why; when that is mended, retry the import: '
        'its data is kept, and what is merged is left unchanged', p_what, p_tries
    ));
    return jsonb_build_object('status', 'done', 'job_id', p_job_id, 'kind', 'failed', 'rows', 0);
end;
$$;
comment on function sluice.given_up(uuid, text, integer) is
'Fails a job whose work has ended its sessions too often.';

create or replace function sluice.claim_step(p_job sluice.job, p_step sluice.step)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_step.tries - p_step.attempts >= 10 then
        return sluice.given_up(p_job.job_id, p_step.kind, p_step.tries);
    end if;
    update sluice.step as s
    set tries = s.tries + 1, worker = sluice.session_name(), claimed_at = clock_timestamp()
    where s.step_id = p_step.step_id;
    return sluice.claimed(
        jsonb_build_object('step', p_step.step_id, 'tries', p_step.tries + 1), p_job.job_id
    );
end;
$$;
comment on function sluice.claim_step(sluice.job, sluice.step) is
'Claims a locked step for this session; after ten times in vain the job fails.';

create or replace function sluice.claim_job(p_job sluice.job)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_job.tries - p_job.attempts >= 10 then
        return sluice.given_up(
            p_job.job_id, coalesce('end of the ' || p_job.phase, 'import'), p_job.tries
        );
    end if;
    update sluice.job as j
    set tries = j.tries + 1, claimed_at = clock_timestamp(), heartbeat_at = clock_timestamp()
    where j.job_id = p_job.job_id;
    return sluice.claimed(
        jsonb_build_object('job', p_job.job_id, 'tries', p_job.tries + 1), p_job.job_id
    );
end;
$$;
comment on function sluice.claim_job(sluice.job) is
'Claims a locked job for this session, to begin it or to take it to its next phase; after ten times
 in vain it fails.';

create or replace function sluice.is_its_turn(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_job.state = 'processing' then
        return not sluice.has_steps(p_job);
    end if;
    return sluice.may_start(p_job)
        and sluice.startable_job(p_job.job_id, '{}', false, true) is not null;
end;
$$;
comment on function sluice.is_its_turn(sluice.job) is
'Whether a claimed job can still go on now: its turn may have passed to another since.';

create or replace function sluice.keep_claim(p_claim jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job_id uuid;
begin
    select s.job_id into v_job_id
    from sluice.step as s
    where s.step_id = (p_claim ->> 'step')::bigint and s.tries = (p_claim ->> 'tries')::integer
        and s.state = 'todo' and not sluice.is_free(s.claimed_at);
    if not found then
        select j.job_id into v_job_id
        from sluice.job as j
        where j.job_id = (p_claim ->> 'job')::uuid and j.tries = (p_claim ->> 'tries')::integer
            and j.state in ('pending', 'processing') and not sluice.is_free(j.claimed_at);
    end if;
    if v_job_id is null then
        return null;
    end if;
    perform pg_sleep(0.002);
    return sluice.claimed(p_claim, v_job_id);
end;
$$;
comment on function sluice.keep_claim(jsonb) is
'Keeps a claim whose row is locked for a moment, by a session that looked for work and saw it too
 late. Null: it has passed to another.';

create or replace function sluice.take_claim()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_claim constant jsonb := nullif(current_setting('sluice.claim', true), '')::jsonb;
    v_job sluice.job;
    v_step sluice.step;
begin
    if v_claim is null then
        return null;
    end if;
    perform set_config('sluice.claim', '', false);
    if v_claim ? 'step' then
        select s.* into v_step
        from sluice.step as s
        where s.step_id = (v_claim ->> 'step')::bigint and s.tries = (v_claim ->> 'tries')::integer
            and s.state = 'todo' and not sluice.is_free(s.claimed_at)
        for update of s skip locked;
        if not found then
            return sluice.keep_claim(v_claim);
        end if;
        select j.* into v_job from sluice.job as j
        where j.job_id = v_step.job_id and j.state = 'processing' and j.phase = v_step.kind;
        if not found then
            return null;
        elsif sluice.hold_job(v_job.job_id) and sluice.hold_slot(v_job) then
            if v_job.spec ->> 'login' is not null then
                return sluice.open_fence(v_job, v_step);
            end if;
            return sluice.carry_out(v_job, v_step);
        end if;
        update sluice.step as s
        set tries = s.tries - 1, claimed_at = null
        where s.step_id = v_step.step_id;
    else
        select j.* into v_job
        from sluice.job as j
        where j.job_id = (v_claim ->> 'job')::uuid and j.tries = (v_claim ->> 'tries')::integer
            and j.state in ('pending', 'processing') and not sluice.is_free(j.claimed_at)
        for update of j skip locked;
        if not found then
            return sluice.keep_claim(v_claim);
        elsif sluice.hold_job(v_job.job_id) and sluice.is_its_turn(v_job) then
            return sluice.move_on(v_job);
        end if;
        update sluice.job as j
        set tries = j.tries - 1, claimed_at = null
        where j.job_id = v_job.job_id;
    end if;
    return '{"status": "busy"}';
end;
$$;
comment on function sluice.take_claim() is
'Carries out what this session has claimed, once; a claim that cannot be carried out now is taken
 back (busy). Null when there is none, or it has passed to another.';
