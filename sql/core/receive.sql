-- Receive: an upload fills its stage segment by segment, by COPY.

create or replace function sluice.receive_begin(
    format text, header text[], options jsonb, file_name text
)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- nothing is promised before the commit that accepts the upload, and that one brings all earlier
-- ones to the disk
select set_config('synchronous_commit', 'off', true);
-- the other options are judged when the job is accepted: they may stand behind the file
select sluice.copy_statements(sluice.create_stage(
    format, header, sluice.parse_options(options), file_name, false
));
end;
comment on function sluice.receive_begin(text, text[], jsonb, text) is
'Begins an upload: a job that nobody sees yet, its stage, and the COPY statements for records as
 they are (copy_plain) and for those that were taken apart or are malformed (copy_marked). IO400.';

create or replace function sluice.store_lines(p_job_id uuid, p_lines jsonb)
returns void
language sql volatile
begin atomic
insert into sluice.line_break (job_id, n, line)
select p_job_id, (b.pair ->> 0)::bigint, (b.pair ->> 1)::bigint
from jsonb_array_elements(p_lines) as b (pair);
end;
comment on function sluice.store_lines(uuid, jsonb) is
'Keeps on which lines the records of a segment stand: [[n, line], …].';

create or replace function sluice.receive_segment(
    job_id uuid, records bigint, bytes bigint, lines jsonb
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key_id uuid;
begin
    -- as for sluice.receive_begin
    perform set_config('synchronous_commit', 'off', true);
    update sluice.job as j
    set
        received = j.received + records,
        bytes = j.bytes + receive_segment.bytes,
        heartbeat_at = clock_timestamp()
    where j.job_id = receive_segment.job_id and j.state = 'receiving'
    returning j.key_id into v_key_id;
    if not found then
        raise exception 'the upload % was given up', job_id using
            errcode = 'IO409', hint = 'send the file again';
    end if;
    perform sluice.store_lines(job_id, lines);
    perform sluice.count_bytes(v_key_id, bytes);
    if records > 0
        and exists (select from sluice.ahead as a where a.job_id = receive_segment.job_id) then
        perform sluice.announce('work');
    end if;
end;
$$;
comment on function sluice.receive_segment(uuid, bigint, bigint, jsonb) is
'Counts a segment in the transaction that copied it. lines: [[n, line], …]: from record n on,
 records stand one per line. IO409 when the sweeper gave the upload up, IO429 when
 its key may store no more today.';

create or replace function sluice.receive_heartbeat(job_id uuid)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
update sluice.job as j
set heartbeat_at = clock_timestamp()
where j.job_id = receive_heartbeat.job_id and j.state = 'receiving';
end;
comment on function sluice.receive_heartbeat(uuid) is
'Says that an upload is still alive; without a sign for 60 s it is swept.';

create or replace function sluice.receive_abort(job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- whoever casts a part of it is waited for
    delete from sluice.job as j where j.job_id = receive_abort.job_id and j.state = 'receiving';
    if found then
        perform sluice.drop_tables(job_id);
    end if;
end;
$$;
comment on function sluice.receive_abort(uuid) is
'Gives an upload up: its job and its stage are gone.';
