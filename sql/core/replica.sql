-- Exports that are read from a streaming replica. The primary decides who may have what and writes
-- the query; the replica only runs it, once it has all that the primary had committed by then.

create or replace function sluice.end_of_wal()
returns pg_lsn
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- Not the end of what is on disk: commits that do not wait for it are seen here too. What is told
-- at the start of a page is behind its header, where no record ends: replay never comes there.
select w.lsn - case
    when mod(w.lsn - '0/0', pg_size_bytes(current_setting('wal_segment_size'))) = 40
        then 40::numeric
    when mod(w.lsn - '0/0', current_setting('wal_block_size')::bigint) = 24 then 24
    else 0
end
from (select pg_current_wal_insert_lsn() as lsn) as w;
end;
comment on function sluice.end_of_wal() is
'The end of the last record of WAL: a replica that has replayed it has all that is committed.';

create or replace function sluice.source_place()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'system', (select c.system_identifier::text from pg_control_system() as c),
        'database', current_database(),
        'lsn',
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else sluice.end_of_wal() end
    );
end;
$$;
comment on function sluice.source_place() is
'Which database this is, and how far it is: {"system", "database", "lsn"}. For sluice.replica_state
 on its replica.';

create or replace function sluice.replica_state(place jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_own constant jsonb := sluice.source_place();
    v_behind constant numeric := (place ->> 'lsn')::pg_lsn - (v_own ->> 'lsn')::pg_lsn;
begin
    if v_own - 'lsn' <> place - 'lsn' then
        raise exception 'SLUICE_EXPORT_DATABASE_URL leads to another database, %',
            quote_literal(v_own ->> 'database') using
            errcode = 'IO503', hint = 'let it lead to a streaming replica of DATABASE_URL';
    end if;
    return jsonb_build_object(
        'is_replica', pg_is_in_recovery(), 'has_all', v_behind <= 0,
        'behind_bytes', greatest(v_behind, 0)
    );
end;
$$;
comment on function sluice.replica_state(jsonb) is
'On the server that exports read: whether it has all that the primary had at this place (of
 sluice.source_place there). IO503 when it is the server of another database.';

create or replace function sluice.read_as(role text, search_path text)
returns void
language sql volatile
begin atomic
select sluice.pin_output(search_path);
select set_config('role', role, true) where role is not null;
end;
comment on function sluice.read_as(text, text) is
'Goes on to the end of the transaction under the role of a key, if it has one, and with the settings
 of output: for the COPY of sluice.export_copy, called elsewhere. No SET clause, as in pin_output.';

create or replace function sluice.doctor_replica(place jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state jsonb := sluice.replica_state(place);
    v_until constant timestamptz := clock_timestamp() + interval '1 second';
    v_is_cancelled constant boolean := not current_setting('hot_standby_feedback')::boolean
        and current_setting('max_standby_streaming_delay') <> '-1';
begin
    while not (v_state ->> 'has_all')::boolean and clock_timestamp() < v_until loop
        perform pg_sleep(0.05);
        v_state := sluice.replica_state(place);
    end loop;
    return jsonb_build_array(case
        when not (v_state ->> 'is_replica')::boolean then jsonb_build_object(
            'finding', 'replica', 'state', 'warn',
            'told', 'SLUICE_EXPORT_DATABASE_URL leads to the primary itself',
            'todo', 'let it lead to a streaming replica, or leave it away'
        )
        when not (v_state ->> 'has_all')::boolean then jsonb_build_object(
            'finding', 'replica', 'state', 'warn',
            'told', format(
                'still %s behind after a second',
                pg_size_pretty((v_state ->> 'behind_bytes')::bigint)
            ),
            'todo', 'exports read the primary while it is: see pg_stat_replication there'
        )
        when v_is_cancelled then jsonb_build_object(
            'finding', 'replica', 'state', 'warn',
            'told', format('exports there are cancelled when they hold up replay for %s',
                current_setting('max_standby_streaming_delay')),
            'todo', 'set hot_standby_feedback = on there, or a longer max_standby_streaming_delay'
        )
        else jsonb_build_object(
            'finding', 'replica', 'state', 'ok',
            'told', 'has all, and lets exports come to their end'
        )
    end);
end;
$$;
comment on function sluice.doctor_replica(jsonb) is
'What sluice.doctor would say of the server that exports read, asked there; place as of
 sluice.source_place on the primary.';
