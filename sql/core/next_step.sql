create or replace function sluice.tied_tables(p_resource text)
returns oid[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- the tables that a job of the resource writes, and those tied to them by a foreign key
with written as (
    select r.target::oid as table_oid
    from sluice.resource as r
    where r.name = p_resource or r.parent = p_resource
)
select coalesce(array_agg(distinct t.table_oid), '{}')
from (
    select w.table_oid from written as w
    union all
    select c.confrelid from pg_constraint as c inner join written as w on c.conrelid = w.table_oid
    where c.contype = 'f'
    union all
    select c.conrelid from pg_constraint as c inner join written as w on c.confrelid = w.table_oid
    where c.contype = 'f'
) as t;
end;
comment on function sluice.tied_tables(text) is
'The tables of a resource and its children, and those that refer to them or that they refer to, as
 the catalog has it now.';

create or replace function sluice.startable_job(p_job_id uuid)
returns uuid
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- the oldest accepted job that no older unfinished job of a tied resource precedes
select j.job_id
from sluice.job as j
where
    j.state = 'pending'
    and (p_job_id is null or j.job_id = p_job_id)
    and not exists (
        select
        from sluice.job as o
        inner join sluice.resource as r on r.name = o.resource or r.parent = o.resource
        where
            o.job_id <> j.job_id
            -- one that has begun is waited for though it is younger: commits may come
            -- in another order than numbers
            and (o.state = 'processing' or o.state = 'pending' and o.accepted < j.accepted)
            and r.target::oid = any(sluice.tied_tables(j.resource))
            -- a small job may pass between the steps of a large one
            and not (j.priority = 'interactive' and j.received <= 1000 and o.state = 'processing')
    )
order by j.accepted
limit 1
for update of j skip locked;
end;
comment on function sluice.startable_job(uuid) is
'The job that is next to begin, locked; null when there is none.';

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
        insert into sluice.step (job_id, kind) values (p_job_id, 'match');
        update sluice.job as j set phase = 'match' where j.job_id = p_job_id;
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

create or replace function sluice.plan_merge(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_whole constant boolean := (p_job.options ->> 'atomic')::boolean is true
        or p_job.options ->> 'dry_run' = 'write' or (p_job.spec ->> 'self')::boolean;
begin
    -- of a plan that was lost in a crash
    delete from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'todo';
    -- ranges of record numbers, so that what is merged is known without the unlogged plan
    if p_job.received > 1000 then
        execute format('create index on %s (_n)', p_job.spec ->> 'plan');
        execute format('create index on %s (_n)', p_job.spec ->> 'work');
        execute format('create index on %s (_n)', p_job.spec ->> 'extra');
    end if;
    execute format('analyze %s', p_job.spec ->> 'work');
    execute format($sql$
        insert into sluice.step (job_id, kind, lo, hi, rows)
        select $1, 'merge', min(r._n), max(r._n) + 1, count(*)
        from (
            select w._n, (row_number() over (order by w._n) - 1) / $2 as part
            from %s as w
            where w._action in ('i', 'u', 'c')
                and not exists (select from %s as e where e._n = w._n)
        ) as r
        group by r.part
        order by r.part
    $sql$, p_job.spec ->> 'work', p_job.spec ->> 'extra')
    using p_job.job_id, case when v_whole then 9223372036854775807 else 50000 end;
    -- a crash since the match has emptied what it wrote
    return (
        select coalesce(sum(s.rows) filter (where s.kind = 'merge' and s.state = 'todo'), 0)
            = sum(s.rows) filter (where s.kind = 'match')
        from sluice.step as s
        where s.job_id = p_job.job_id
    );
end;
$$;
comment on function sluice.plan_merge(sluice.job) is
'Cuts the merge into steps of at most 50,000 records; atomic jobs and tables that refer to
 themselves are merged whole. False when the plan is not what the match left: it was lost in a
 crash.';

create or replace function sluice.carry_out(p_job sluice.job, p_step sluice.step)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows bigint;
    v_code text;
    v_message text;
begin
    -- a step and its record are lost together or not at all: only the last commit of a job
    -- must reach the disk before anybody hears of it
    if p_job.received > 1000 then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    begin
        v_rows := case p_step.kind
            when 'cast' then sluice.cast_step(p_job, p_step)
            when 'match' then sluice.match_step(p_job, p_step)
            else sluice.merge_step(p_job, p_step)
        end;
        if p_step.kind = 'merge' and exists (
            select from sluice.step as s where s.step_id = p_step.step_id and s.state = 'done'
        ) then
            perform sluice.keep_results(p_job, p_step.lo, p_step.hi, '{i,u,c}');
        end if;
        update sluice.job as j
        set done = least(j.done + v_rows, j.received), heartbeat_at = clock_timestamp()
        where j.job_id = p_job.job_id and j.state = 'processing';
        return jsonb_build_object(
            'status', 'done', 'job_id', p_job.job_id, 'kind', p_step.kind, 'rows', v_rows
        );
    exception when others then
        v_code := sqlstate;
        v_message := sqlerrm;
    end;
    -- about a minute of tries for what may pass, three for what seems wrong with the database
    if p_step.attempts >= (case sluice.fault_class(v_code) when 'retry' then 25 else 2 end) then
        perform sluice.fail_job(p_job.job_id, 'The import could not go on', format(
            '%s (SQLSTATE %s) in %s, after %s tries. What is merged stays; when the cause is mended, '
            'send the file again: records that are there already are left unchanged',
            v_message, v_code, p_step.kind, p_step.attempts + 1
        ));
        return jsonb_build_object('status', 'done', 'job_id', p_job.job_id, 'kind', 'failed', 'rows', 0);
    end if;
    update sluice.step as s
    set attempts = s.attempts + 1,
        not_before = clock_timestamp() + least(0.05 * 2 ^ s.attempts, 3) * interval '1 second'
    where s.step_id = p_step.step_id;
    update sluice.job as j
    set deadlocks = j.deadlocks + (v_code = '40P01')::integer,
        sessions = case when v_code = '40P01' and j.deadlocks >= 2 then 1 else j.sessions end
    where j.job_id = p_job.job_id;
    return jsonb_build_object(
        'status', 'done', 'job_id', p_job.job_id, 'kind', p_step.kind, 'rows', 0, 'error', v_message
    );
end;
$$;
comment on function sluice.carry_out(sluice.job, sluice.step) is
'Carries out a step. When it fails for what is no record''s fault it is tried again later, a bounded
 number of times; then the job fails with the reason.';

create or replace function sluice.take_step(p_job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_step sluice.step;
    v_id uuid;
    v_kind text;
    v_wait numeric;
begin
    -- a step of a job that has begun
    select s.* into v_step
    from sluice.job as j
    inner join sluice.step as s on j.job_id = s.job_id and j.phase = s.kind
    where
        j.state = 'processing' and s.state = 'todo'
        and (p_job_id is null or j.job_id = p_job_id)
        and (s.not_before is null or s.not_before <= clock_timestamp())
        and (j.sessions is null or pg_try_advisory_xact_lock(hashtextextended(j.job_id::text, 1)))
    order by j.accepted, s.step_id
    limit 1
    for update of s skip locked;
    if found then
        select j.* into v_job from sluice.job as j where j.job_id = v_step.job_id;
        if v_job.state = 'processing' and v_job.phase = v_step.kind then
            return sluice.carry_out(v_job, v_step);
        end if;
    end if;

    -- a phase whose last step is done
    for v_id in
        select j.job_id from sluice.job as j
        where j.state = 'processing' and (p_job_id is null or j.job_id = p_job_id)
            and not exists (
                select from sluice.step as s
                where s.job_id = j.job_id and s.kind = j.phase and s.state = 'todo'
            )
        order by j.accepted
        for update of j skip locked
    loop
        -- asked again under the lock: another session may just have gone on
        if not exists (
            select
            from sluice.job as j
            inner join sluice.step as s on j.job_id = s.job_id and j.phase = s.kind
            where j.job_id = v_id and s.state = 'todo'
        ) and exists (select from sluice.job as j where j.job_id = v_id and j.state = 'processing') then
            begin
                v_kind := sluice.advance_job(v_id);
            exception when others then
                -- a full disk or a lock may pass; anything else would come again for ever,
                -- and stand in the way of all other jobs
                if sluice.fault_class(sqlstate) = 'retry' or sqlstate ~ '^(53|57|58)' then
                    raise;
                end if;
                perform sluice.fail_job(
                    v_id, 'The import could not go on', format('%s (SQLSTATE %s)', sqlerrm, sqlstate)
                );
                v_kind := 'failed';
            end;
            return jsonb_build_object('status', 'done', 'job_id', v_id, 'kind', v_kind, 'rows', 0);
        end if;
    end loop;

    -- a job that waits for its turn
    v_id := sluice.startable_job(p_job_id);
    if v_id is not null then
        begin
            perform sluice.start_job(v_id);
        exception when others then
            -- the table or the registry changed since the job was accepted
            perform sluice.fail_job(v_id, 'The import could not begin', sqlerrm);
        end;
        return jsonb_build_object('status', 'done', 'job_id', v_id, 'kind', 'start', 'rows', 0);
    end if;

    select extract(epoch from min(s.not_before) - clock_timestamp()) into v_wait
    from sluice.job as j
    inner join sluice.step as s on j.job_id = s.job_id and j.phase = s.kind
    where j.state = 'processing' and s.state = 'todo' and s.not_before > clock_timestamp()
        and (p_job_id is null or j.job_id = p_job_id);
    if v_wait is not null then
        return jsonb_build_object('status', 'wait', 'seconds', greatest(v_wait, 0.01));
    elsif exists (
        select from sluice.job as j
        where j.state in ('pending', 'processing') and (p_job_id is null or j.job_id = p_job_id)
    ) then
        return jsonb_build_object('status', 'busy');
    end if;
    return jsonb_build_object('status', 'idle');
end;
$$;
comment on function sluice.take_step(uuid) is
'One step: sluice.next_step without the haste for small jobs.';

create or replace function sluice.next_step(job_id uuid default null)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done jsonb;
begin
    v_done := sluice.take_step(next_step.job_id);
    -- a small job is through in one transaction: a commit costs more than its steps
    while v_done ->> 'status' = 'done' and v_done ->> 'error' is null and exists (
        select from sluice.job as j
        where j.job_id = (v_done ->> 'job_id')::uuid and j.state = 'processing' and j.received <= 1000
    ) loop
        v_done := sluice.take_step((v_done ->> 'job_id')::uuid);
    end loop;
    return v_done;
end;
$$;
comment on function sluice.next_step(uuid) is
'Takes one step of the oldest job that may go on (or of the given one) and carries it out, in the
 caller''s transaction: commit after it. Returns {"status": done | busy | wait | idle, …}: done:
 call again at once; busy: other sessions hold the rest; wait: a retry is due in "seconds"; idle:
 nothing to do. Any number of sessions may call it at the same time.';
