-- The queue stands behind the news: NOTIFY wakes a worker at once, but tells only those who listen
-- at that moment. A wake-up in the queue outlives a crash, and is kept until a worker has had it.

create or replace function sluice.enqueue_wakeup()
returns bigint
language plpgsql volatile
-- procrastinate's functions name their own tables without a schema
set search_path = procrastinate, pg_temp
as $$
declare
    v_at constant timestamptz := clock_timestamp() + interval '5 seconds';
    v_id bigint;
begin
    if to_regclass('procrastinate.procrastinate_jobs') is null then
        raise exception 'this database has no queue' using
            errcode = 'IO503',
            hint = 'run "pgsluice migrate" once, or carry the import out here: call sluice.import_run(…)';
    end if;
    -- one that comes late enough to see this commit too is enough for any number of jobs
    select j.id into v_id
    from procrastinate.procrastinate_jobs as j
    where j.status = 'todo' and j.task_name = 'pgsluice.run' and j.scheduled_at > v_at - interval '4 seconds'
    limit 1;
    return coalesce(v_id, (procrastinate_defer_jobs_v1(array[
        row('imports', 'pgsluice.run', 0, null, null, '{}'::jsonb, v_at)::procrastinate_job_to_defer_v1
    ]))[1]);
end;
$$;
comment on function sluice.enqueue_wakeup() is
'Sees to it that the queue holds a wake-up for the workers that comes within 5 s after this commit:
 one for all that is accepted in the meantime. Returns its number. IO503 where the queue''s schema
 is not installed.';
