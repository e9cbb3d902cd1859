-- The queue wakes workers; the order of work is decided by next_step.

create or replace function sluice.enqueue_wakeup()
returns bigint
language plpgsql volatile
-- procrastinate's functions name their own tables without a schema
set search_path = procrastinate, pg_temp
as $$
begin
    if to_regclass('procrastinate.procrastinate_jobs') is null then
        raise exception 'this database has no queue' using
            errcode = 'IO503',
            hint = 'run "pgsluice migrate" once, or carry the import out here: call sluice.import_run(…)';
    end if;
    return (procrastinate_defer_jobs_v1(array[
        row('imports', 'pgsluice.run', 0, null, null, '{}'::jsonb, null)::procrastinate_job_to_defer_v1
    ]))[1];
end;
$$;
comment on function sluice.enqueue_wakeup() is
'Queues a wake-up for the workers, seen at commit. IO503 where the queue''s schema is not
 installed.';
