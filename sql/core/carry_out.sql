create or replace function sluice.carry_out(
    p_job sluice.job, p_step sluice.step, p_outcome jsonb default null
)
returns jsonb
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_alone constant boolean := (p_job.options ->> 'atomic')::boolean is true
        or (p_job.options ->> 'dry_run' = 'write') is true;
    v_kind text := p_step.kind;
    v_rows bigint;
    v_code text;
    v_message text;
begin
    -- a step and its record are lost together or not at all: only the last commit of a job
    -- must reach the disk before anybody hears of it
    if p_job.received > 1000 and not (v_alone and v_kind = 'merge') then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    begin
        if v_kind = 'merge' and p_outcome is null then
            perform sluice.pass_gate(p_job.resource);
        end if;
        v_rows := case
            when p_outcome is not null then sluice.note_outcome(p_job, p_step, p_outcome)
            when v_kind = 'cast' then sluice.cast_step(p_job, p_step)
            when v_kind = 'match' then sluice.match_step(p_job, p_step)
            else sluice.merge_step(p_job, p_step)
        end;
        if v_kind = 'merge' and exists (
            select from sluice.step as s where s.step_id = p_step.step_id and s.state = 'done'
        ) then
            perform sluice.keep_results(p_job, p_step.lo, p_step.hi, '{i,u,c}');
        end if;
        -- whoever ends a job at this moment holds its row, and has not counted this step
        update sluice.job as j
        set done = least(j.done + v_rows, j.received), heartbeat_at = clock_timestamp(),
            metrics = j.metrics - 'last_error'
        where j.job_id = p_job.job_id and j.state = 'processing';
        if not found then
            raise exception 'the job has ended' using errcode = 'IO410';
        end if;
        -- all or nothing: what is written and the end of the job are one commit
        if v_alone and v_kind = 'merge' and not exists (
            select from sluice.step as s
            where s.job_id = p_job.job_id and s.kind in ('cast', 'merge') and s.state = 'todo'
        ) then
            v_kind := sluice.advance_job(p_job.job_id);
        end if;
        perform sluice.announce('job ' || p_job.job_id);
        return jsonb_build_object(
            'status', 'done', 'job_id', p_job.job_id, 'kind', v_kind, 'rows', v_rows
        );
    exception
        when sqlstate 'IO410' then
            return jsonb_build_object(
                'status', 'done', 'job_id', p_job.job_id, 'kind', 'ended', 'rows', 0
            );
        when others then
            v_code := sqlstate;
            v_message := sluice.fault_words(v_code, sqlerrm);
    end;
    -- about a minute of tries for what may pass, three for what seems wrong with the database
    if p_step.attempts >= (case when sluice.may_pass(v_code) then 25 else 2 end) then
        perform sluice.fail_job(p_job.job_id, 'The import could not go on', format(
            '%s in %s, after %s tries. What is merged stays; when the cause is mended, '
            'retry the import: records that are there already are left unchanged',
            v_message, p_step.kind, p_step.attempts + 1
        ));
        return jsonb_build_object('status', 'done', 'job_id', p_job.job_id, 'kind', 'failed', 'rows', 0);
    end if;
    update sluice.step as s
    set attempts = s.attempts + 1, claimed_at = null,
        not_before = clock_timestamp() + least(0.05 * 2 ^ s.attempts, 3) * interval '1 second'
    where s.step_id = p_step.step_id;
    update sluice.job as j
    set metrics = j.metrics || jsonb_build_object('last_error', v_message),
        deadlocks = j.deadlocks + (v_code = '40P01')::integer,
        sessions = case when v_code = '40P01' and j.deadlocks >= 2 then 1 else j.sessions end
    where j.job_id = p_job.job_id;
    return jsonb_build_object(
        'status', 'done', 'job_id', p_job.job_id, 'kind', p_step.kind, 'rows', 0, 'error', v_message
    );
end;
$$;
comment on function sluice.carry_out(sluice.job, sluice.step, jsonb) is
'Carries out a step; p_outcome: keeps the books of one that a session of a login has carried out.
 When it fails for what is no record''s fault it is tried again later, a bounded number of times; then the job fails with the reason.';
