create or replace function sluice.release()
returns text
language sql immutable parallel safe
return '0.1.0';
comment on function sluice.release() is 'The release of pgsluice that these functions belong to.';

create or replace function sluice.health()
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_workers bigint;
begin
    -- the queue's schema is not needed from psql
    if to_regclass('procrastinate.procrastinate_workers') is not null then
        execute 'select count(*) from procrastinate.procrastinate_workers as w
            where w.last_heartbeat > now() - interval ''60 seconds''' into v_workers;
    end if;
    return (
        select jsonb_build_object(
            'status', 'ok',
            'release', sluice.release(),
            'database', jsonb_build_object(
                'status', 'ok',
                'name', current_database(),
                'version', current_setting('server_version'),
                'read_only', current_setting('transaction_read_only')::boolean
            ),
            'queue', jsonb_build_object(
                'status', case when v_workers is null then 'not installed' else 'ok' end,
                'waiting', count(*) filter (where j.state = 'pending'),
                'processing', count(*) filter (where j.state = 'processing'),
                'oldest_seconds', round(extract(epoch from
                    clock_timestamp() - min(j.created_at) filter (where j.state = 'pending')
                ))
            ),
            'workers', jsonb_build_object(
                'alive', coalesce(v_workers, 0),
                'missing_logins', array(select l.name from sluice.login as l where l.missed_at is not null order by l.name)
            )
        )
        from sluice.job as j
        where j.state in ('pending', 'processing')
    );
end;
$$;
comment on function sluice.health() is
'Database, queue and workers at a glance: jobs that wait and run, age of the oldest that waits,
 workers with a heartbeat in the last minute; missing_logins: those for which jobs wait though no worker
 has them (SLUICE_LOGINS).';
