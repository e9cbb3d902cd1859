-- The SQL side of the receive step, as small as it can be: what the driver calls, and nothing else.
create schema sluice;
create table sluice.job (
    id uuid primary key default gen_random_uuid(),
    format text, header text[], options jsonb, file_name text,
    beats integer not null default 0
);
create table sluice.segment (
    job_id uuid, records bigint, bytes bigint, lines jsonb,
    xid text default pg_current_xact_id()::text,
    started timestamptz default now(), ended timestamptz default clock_timestamp()
);

create function sluice.receive_begin(format text, header text[], options jsonb, file_name text)
returns jsonb language plpgsql as $$
declare
    v_id uuid;
    v_cells text := coalesce(
        (select string_agg('c' || i, ', ') from generate_subscripts(header, 1) as i), 'line');
    v_how text := case
        when header is null then $o$(format csv, quote e'\x01', delimiter e'\x02', null '')$o$
        else format('(format csv, delimiter %L, null %L)', options ->> 'delimiter',
            coalesce(options ->> 'null', '')) end;
begin
    insert into sluice.job (format, header, options, file_name) values ($1, $2, $3, $4)
    returning id into v_id;
    execute format('create table sluice.stage (n bigint generated always as identity, %s text, '
        'malformed text, problem text, line_no bigint, xid text default pg_current_xact_id()::text)',
        replace(v_cells, ', ', ' text, '));
    return jsonb_build_object(
        'job_id', v_id, 'shape', case when header is null then 'line' else 'cells' end,
        'copy_plain', format('copy sluice.stage (%s) from stdin %s', v_cells, v_how),
        'copy_marked', format('copy sluice.stage (%s, malformed, problem, line_no) from stdin %s',
            v_cells, v_how));
end $$;

create function sluice.receive_segment(job_id uuid, records bigint, bytes bigint, lines jsonb)
returns void language sql as $$
    insert into sluice.segment (job_id, records, bytes, lines) values ($1, $2, $3, $4) $$;

create function sluice.receive_heartbeat(job_id uuid) returns void language sql as $$
    update sluice.job set beats = beats + 1 where id = $1 $$;

create function sluice.receive_abort(job_id uuid) returns void language plpgsql as $$
begin
    delete from sluice.job where id = $1;
    drop table sluice.stage;
end $$;
