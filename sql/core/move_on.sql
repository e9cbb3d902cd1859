-- From phase to phase: what happens to a job between its steps.

create or replace function sluice.advance_job(p_job_id uuid)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_ratio numeric;
begin
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id;
    if v_job.phase = 'cast' then
        -- an unlogged stage (SLUICE_STAGE) is empty after a crash of Postgres, like the plan
        if v_job.received <> (
            select coalesce(sum(s.rows), 0) from sluice.step as s
            where s.job_id = p_job_id and s.kind = 'cast'
        ) then
            perform sluice.fail_job(p_job_id, 'The data was lost', format(
                'what was sent to import %s was lost in a crash of Postgres, which an unlogged stage '
                '(SLUICE_STAGE) does not survive: send the file again; records that are there already '
                'are left unchanged', p_job_id
            ));
            return 'failed';
        end if;
        perform sluice.plan_match(v_job);
        update sluice.job as j set phase = 'match' where j.job_id = p_job_id;
        return 'match';
    elsif v_job.phase = 'match' and not exists (
        select from sluice.step as s
        where s.job_id = p_job_id and s.kind = 'match' and s.lo = 0
    ) then
        -- the duplicates are known, now the whole file against the target
        insert into sluice.step (job_id, kind) values (p_job_id, 'match');
        return 'match';
    elsif v_job.phase = 'match' then
        v_ratio := (v_job.options ->> 'max_error_ratio')::numeric;
        if v_job.rejected > 0 and (v_job.options ->> 'atomic')::boolean
            and v_job.options ->> 'dry_run' is distinct from 'true' then
            perform sluice.fail_job(p_job_id, 'Records were rejected', format(
                '%s of %s records have errors, and the import is atomic: nothing was written. '
                'Mend the rejects and send the whole file again', v_job.rejected, v_job.received
            ));
            return 'failed';
        elsif v_job.rejected > v_ratio * v_job.received then
            perform sluice.fail_job(p_job_id, 'Too many errors', format(
                '%s of %s records have errors, more than max_error_ratio %s allows: nothing was written. '
                'See the error summary; is it the right file for %s?',
                v_job.rejected, v_job.received, v_ratio, v_job.resource
            ));
            return 'failed';
        end if;
        if v_job.options ->> 'dry_run' is distinct from 'true' and not sluice.plan_merge(v_job) then
            perform sluice.cast_again(p_job_id);
            return 'cast again';
        end if;
        update sluice.job as j set phase = 'merge', done = 0 where j.job_id = p_job_id;
        return 'merge';
    elsif (v_job.options ->> 'atomic')::boolean and v_job.rejected > 0
        and v_job.options ->> 'dry_run' is distinct from 'true' then
        perform sluice.fail_job(p_job_id, 'Records were rejected', format(
            '%s of %s records could not be written, and the import is atomic: nothing was written. '
            'Mend the rejects and send the whole file again', v_job.rejected, v_job.received
        ));
        return 'failed';
    end if;
    perform sluice.finish_job(p_job_id);
    return 'finish';
end;
$$;
comment on function sluice.advance_job(uuid) is
'Takes a job whose phase has no step left to its next phase: cast, match, merge, end.';

create or replace function sluice.plan_match(p_job sluice.job)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- of a small file, and of one that one session works on, the match looks for duplicates itself
    if p_job.received <= 1000 or p_job.sessions = 1 or p_job.spec ->> 'login' is not null
        or p_job.statements -> 'duplicates' is null then
        insert into sluice.step (job_id, kind) values (p_job.job_id, 'match');
        return;
    end if;
    perform sluice.ready_plan(p_job);
    insert into sluice.step (job_id, kind, lo, hi)
    select p_job.job_id, 'match', i, i + 1
    from generate_series(1, jsonb_array_length(p_job.statements -> 'duplicates')) as i;
end;
$$;
comment on function sluice.plan_match(sluice.job) is
'Cuts the search for duplicates into steps, one a key (lo = 1, 2 …); the match itself (lo = 0) comes
 when they are done.';

create or replace function sluice.plan_merge(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lost boolean;
begin
    -- a crash since the match has emptied what it wrote
    execute format('select not exists (select from %s)', p_job.spec ->> 'plan') into v_lost;
    if v_lost and exists (
        select from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'todo'
    ) then
        return false;
    end if;
    -- records of a range stand near each other, since they were cast in their order
    if p_job.received > 1000 then
        execute format('create index on %s using brin (_n) with (pages_per_range = 16)', p_job.spec ->> 'plan');
        execute format('create index on %s using brin (_n) with (pages_per_range = 16)', p_job.spec ->> 'work');
        execute format('create index on %s (_n)', p_job.spec ->> 'extra');
    end if;
    execute format('analyze %s', p_job.spec ->> 'work');
    return true;
end;
$$;
comment on function sluice.plan_merge(sluice.job) is
'Makes the plan ready to be read by ranges. False when it was lost in a crash since the match.';

create or replace function sluice.has_steps(p_job sluice.job)
returns boolean
language sql volatile
begin atomic
select count(*) > 0
from sluice.step as s
where s.job_id = p_job.job_id and s.kind = p_job.phase and s.state = 'todo';
end;
comment on function sluice.has_steps(sluice.job) is
'Whether the phase of a job still has steps to take.';

create or replace function sluice.move_on(p_job sluice.job)
returns jsonb
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind text;
    v_code text;
    v_message text;
begin
    begin
        if p_job.state = 'pending' then
            perform sluice.start_job(p_job.job_id);
            v_kind := 'start';
        else
            v_kind := sluice.advance_job(p_job.job_id);
        end if;
        update sluice.job as j
        set tries = 0, attempts = 0, claimed_at = null, heartbeat_at = clock_timestamp(),
            metrics = j.metrics - 'last_error'
        where j.job_id = p_job.job_id and j.state = 'processing';
        if found then
            perform sluice.announce('job ' || p_job.job_id);
            if p_job.received > 1000 then
                -- there are steps for several sessions now
                perform sluice.announce('work');
            end if;
        end if;
        return jsonb_build_object('status', 'done', 'job_id', p_job.job_id, 'kind', v_kind, 'rows', 0);
    exception when others then
        v_code := sqlstate;
        v_message := sluice.fault_words(v_code, sqlerrm);
    end;
    -- a full disk or a lock may pass; anything else would come again for ever, and stand in the
    -- way of all other jobs
    if sluice.may_pass(v_code) and p_job.attempts < 25 then
        update sluice.job as j
        set attempts = j.attempts + 1, claimed_at = null,
            metrics = j.metrics || jsonb_build_object('last_error', v_message),
            not_before = clock_timestamp() + least(0.05 * 2 ^ j.attempts, 3) * interval '1 second'
        where j.job_id = p_job.job_id;
        return jsonb_build_object(
            'status', 'done', 'job_id', p_job.job_id, 'kind', 'wait', 'rows', 0, 'error', v_message
        );
    elsif p_job.state = 'pending' then
        -- the table or the registry changed since the job was accepted
        perform sluice.fail_job(p_job.job_id, 'The import could not begin', v_message);
    else
        perform sluice.fail_job(p_job.job_id, 'The import could not go on', v_message);
    end if;
    return jsonb_build_object('status', 'done', 'job_id', p_job.job_id, 'kind', 'failed', 'rows', 0);
end;
$$;
comment on function sluice.move_on(sluice.job) is
'Begins a job, or takes one whose phase has no step left to its next phase. What may pass is tried
 again for a minute; else the job fails with the reason.';
