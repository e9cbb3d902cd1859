create or replace function sluice.sweep()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
    v_uploads integer := 0;
    v_tables integer := 0;
begin
    for v_id in
        select j.job_id from sluice.job as j
        where j.state = 'receiving' and j.heartbeat_at < clock_timestamp()
            - case when j.by_psql then interval '24 hours' else interval '60 seconds' end
        for update skip locked
    loop
        if sluice.drop_tables(v_id) then
            delete from sluice.job as j where j.job_id = v_id;
            v_uploads := v_uploads + 1;
        end if;
    end loop;
    for v_id in
        select j.job_id from sluice.job as j
        where not j.swept and j.completed_at is not null
        order by j.completed_at
        for update skip locked
    loop
        if sluice.drop_tables(v_id) then
            update sluice.job as j set swept = true where j.job_id = v_id;
            v_tables := v_tables + 1;
        end if;
    end loop;
    return jsonb_build_object('uploads', v_uploads, 'jobs', v_tables);
end;
$$;
comment on function sluice.sweep() is
'Drops the stages of uploads without a sign of life (60 s; begun by psql: 24 h) and the tables of
 ended jobs that somebody held when they ended. Returns how many of each.';
