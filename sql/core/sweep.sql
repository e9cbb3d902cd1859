create or replace function sluice.sweep()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job record;
    v_uploads integer := 0;
    v_tables integer := 0;
    v_orphans integer := 0;
begin
    for v_job in
        select j.job_id from sluice.job as j
        where j.state = 'receiving' and j.heartbeat_at < statement_timestamp()
            - case when j.by_psql then interval '24 hours' else interval '60 seconds' end
        for update skip locked
    loop
        if sluice.hold_ahead(v_job.job_id) and sluice.drop_tables(v_job.job_id) then
            delete from sluice.job as j where j.job_id = v_job.job_id;
            v_uploads := v_uploads + 1;
        end if;
    end loop;
    for v_job in
        select j.job_id, j.keeps_stage from sluice.job as j
        where not j.swept and j.completed_at is not null
        order by j.completed_at
        for update skip locked
    loop
        if sluice.drop_tables(v_job.job_id, p_stage => not v_job.keeps_stage) then
            update sluice.job as j set swept = true where j.job_id = v_job.job_id;
            v_tables := v_tables + 1;
        end if;
    end loop;
    -- one snapshot of both: a stage that is seen without its job has lost it
    for v_job in
        select t.job_id
        from (
            select distinct right(c.relname, 32)::uuid as job_id
            from pg_class as c
            where c.relnamespace = 'sluice_stage'::regnamespace and c.relkind = 'r'
                and c.relname ~ '^[a-z][0-9]*_[0-9a-f]{32}$'
        ) as t
        where not exists (select from sluice.job as j where j.job_id = t.job_id)
    loop
        if sluice.drop_tables(v_job.job_id) then
            v_orphans := v_orphans + 1;
        end if;
    end loop;
    return jsonb_build_object('uploads', v_uploads, 'jobs', v_tables, 'orphans', v_orphans);
end;
$$;
comment on function sluice.sweep() is
'Drops the stages of uploads without a sign of life (60 s; begun by psql: 24 h), the tables of ended
 jobs that somebody held when they ended, and tables whose job is gone. Returns how many of each.';
