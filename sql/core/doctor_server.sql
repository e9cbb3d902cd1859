-- What sluice.doctor sees of the server.

create or replace function sluice.doctor_server()
returns table (finding text, state text, told text, todo text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    'writes',
    case when current_setting('transaction_read_only')::boolean then 'fail' else 'ok' end,
    case
        when pg_is_in_recovery() then 'this server is a replica and takes no writes'
        when current_setting('transaction_read_only')::boolean then 'sessions are read only here'
        else 'taken'
    end,
    case
        when pg_is_in_recovery() then 'let DATABASE_URL lead to the primary'
        when current_setting('transaction_read_only')::boolean
            then 'see default_transaction_read_only of the role and the database'
    end
union all
select
    'connections',
    case when c.free < 30 then 'warn' else 'ok' end,
    format('%s of %s are free', greatest(c.free, 0), current_setting('max_connections')),
    case
        when c.free < 30
            then 'an API and a worker take up to 40: raise max_connections, or lower '
                'SLUICE_POOL_SIZE'
    end
from (
    select
        current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer - count(*) as free
    from pg_stat_activity as a
    where a.backend_type = 'client backend'
) as c
union all
select
    'timeouts',
    case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then 'none would break off a step'
        else string_agg(format('%s is %s', s.name, current_setting(s.name)), ', ')
    end,
    case
        when count(*) > 0
            then format('a step may take minutes: alter role %I reset …, for each', current_user)
    end
from pg_settings as s
where s.name in ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
    and s.setting::bigint between 1 and 600000
union all
select
    'durability',
    case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then 'a crash loses nothing that was committed'
        else string_agg(s.name || ' is off', ', ')
    end,
    case when count(*) > 0 then 'turn it on, unless the data may be lost' end
from pg_settings as s
where s.name in ('fsync', 'full_page_writes', 'autovacuum') and s.setting = 'off';
end;
comment on function sluice.doctor_server() is
'Whether the server takes writes, has room, and is set up for long steps and for crashes.';
