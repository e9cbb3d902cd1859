-- An import here and now: in the caller's transaction, beside the order of jobs.

create or replace function sluice.import_now(p_job_id uuid, p_yields boolean)
returns sluice.job
language plpgsql volatile
-- shorter than deadlock_timeout: in a ring with a step of a running import, this one gives way, and
-- may close the gate (sluice.close_gate)
set lock_timeout = '200ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_step sluice.step;
begin
    perform sluice.start_job(p_job_id);
    loop
        select j.* into v_job from sluice.job as j where j.job_id = p_job_id;
        if v_job.completed_at is not null then
            return v_job;
        end if;
        select s.* into v_step
        from sluice.step as s
        where s.job_id = p_job_id and s.kind = v_job.phase and s.state = 'todo'
        order by s.step_id
        limit 1;
        if not found then
            perform sluice.advance_job(p_job_id);
        elsif v_step.kind = 'cast' then
            perform sluice.cast_step(v_job, v_step);
        elsif v_step.kind = 'match' then
            perform sluice.match_step(v_job, v_step);
        else
            perform sluice.carry_out_plan(v_job, v_step, p_yields);
        end if;
    end loop;
end;
$$;
comment on function sluice.import_now(uuid, boolean) is
'Carries out a whole import, whose stage the caller''s transaction has filled, within it: nobody
 else sees the job before its end, none waits for it and it waits for none, but 0.2 s at most for a
 row that another writes (55P03). Meant for small atomic imports. p_yields: as for
 sluice.carry_out_plan. Returns the ended job.';
