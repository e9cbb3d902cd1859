-- The ticks of schedules become jobs.

create or replace function sluice.fire_schedule(p_schedule sluice.schedule)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_grace constant interval := '60 seconds';
    v_now constant timestamptz := clock_timestamp();
    v_is_missed constant boolean := p_schedule.next_at < v_now - v_grace;
    v_next timestamptz;
    v_id uuid;
    v_error text;
    v_hint text;
begin
    insert into sluice.tick (schedule, due_at, worker)
    values (p_schedule.name, p_schedule.next_at, sluice.setting('worker', 'unnamed'))
    on conflict do nothing;
    if not found then
        -- fired already: the server's clock went back
        v_error := p_schedule.last_error;
    elsif v_is_missed and p_schedule.missed = 'skip' then
        v_error := 'missed: no worker ran when it was due';
    elsif exists (
        select from sluice.job as j
        where j.schedule = p_schedule.name and j.completed_at is null
    ) then
        v_error := 'skipped: an earlier job of this schedule still runs';
    else
        begin
            v_id := sluice.start_scheduled(p_schedule);
        exception when others then
            -- what passes (locks, memory, shutdown) is tried again
            if left(sqlstate, 2) in ('40', '53', '57', '58') or sqlstate = '55P03' then
                raise;
            end if;
            get stacked diagnostics v_error = message_text, v_hint = pg_exception_hint;
            v_error := v_error || coalesce('. ' || nullif(v_hint, ''), '');
        end;
    end if;
    update sluice.tick as t
    set job_id = v_id, error = v_error
    where t.schedule = p_schedule.name and t.due_at = p_schedule.next_at and t.job_id is null;
    delete from sluice.tick as t
    where t.schedule = p_schedule.name and t.due_at <= (
        select u.due_at from sluice.tick as u
        where u.schedule = p_schedule.name
        order by u.due_at desc
        offset 1000 limit 1
    );
    begin
        v_next := sluice.cron_next(p_schedule.cron, p_schedule.time_zone, case
            when not v_is_missed then p_schedule.next_at
            when p_schedule.missed = 'skip' then v_now - v_grace
            else v_now
        end);
    exception when sqlstate 'IO400' then
        v_error := coalesce(v_error, sqlerrm);
    end;
    update sluice.schedule as s
    set
        next_at = v_next,
        last_at = case when v_id is null then s.last_at else v_now end,
        last_job_id = coalesce(v_id, s.last_job_id),
        last_error = v_error
    where s.name = p_schedule.name;
end;
$$;
comment on function sluice.fire_schedule(sluice.schedule) is
'Fires the tick of a schedule that is due: a job, or the reason why there is none; its tick, and the
 time of its next. The newest 1,000 ticks are kept.';

create or replace function sluice.fire_schedules()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    v_row sluice.schedule;
    v_fired integer := 0;
begin
    for v_row in
        select s.*
        from sluice.schedule as s
        where not s.paused and s.next_at <= clock_timestamp()
        order by s.next_at
        limit 20
        for update of s skip locked
    loop
        begin
            perform sluice.fire_schedule(v_row);
            v_fired := v_fired + 1;
        exception when lock_not_available or deadlock_detected or serialization_failure then
            -- its table is being altered: it stays due, and holds up no other
            null;
        end;
    end loop;
    return jsonb_build_object('fired', v_fired, 'seconds', (
        -- those that are due now are another worker's this moment
        select extract(epoch from
            greatest(min(s.next_at) - clock_timestamp(), case
                when min(s.next_at) is not null then interval '0.1 seconds'
            end)
        )
        from sluice.schedule as s
        where not s.paused
    ));
end;
$$;
comment on function sluice.fire_schedules() is
'Fires the ticks that are due, each once however many workers ask: tick, job and next time are one
 transaction. Returns how many, and the seconds until the next (null: none is to come).';
