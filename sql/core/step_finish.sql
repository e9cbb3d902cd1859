create or replace function sluice.cast_again(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- several sessions may see that the plan is lost; one sends the job back
    perform from sluice.job as j where j.job_id = p_job_id and j.phase <> 'cast' for update;
    if not found then
        return;
    end if;
    delete from sluice.step as s
    where s.job_id = p_job_id and s.kind = 'cast' and s.numbers is not null;
    update sluice.step as s
    set state = 'todo', rows = null, attempts = s.attempts + 1, claimed_at = null
    where s.job_id = p_job_id and s.kind = 'cast';
    -- steps of the merge that are not done go when the merge is planned again: others may hold them
    delete from sluice.step as s where s.job_id = p_job_id and s.kind in ('match', 'finish');
    -- what the done steps are through with stays final
    delete from sluice.reject as r
    where r.job_id = p_job_id and not exists (
        select from sluice.step as s
        where s.job_id = p_job_id and s.kind = 'merge' and s.state = 'done' and r.n >= s.lo and r.n < s.hi
    );
    if not sluice.drop_tables(p_job_id, p_stage => false) then
        raise exception 'somebody holds the tables of import %', p_job_id using errcode = '55P03';
    end if;
    perform sluice.create_tables(j) from sluice.job as j where j.job_id = p_job_id;
    update sluice.job as j
    set phase = 'cast', rejected = (select count(*) from sluice.reject as r where r.job_id = p_job_id),
        dropped = 0, unchanged = 0, done = 0
    where j.job_id = p_job_id;
end;
$$;
comment on function sluice.cast_again(uuid) is
'Sends a job back to the cast because its plan was lost in a crash of Postgres. What is merged
 stays.';

create or replace function sluice.stop_job(p_job_id uuid, p_state text, p_error jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_done record;
begin
    -- a step that ends now either counts before this or finds the job ended and is undone
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id for update;
    select coalesce(sum(s.inserted), 0) as inserted, coalesce(sum(s.updated), 0) as updated into v_done
    from sluice.step as s
    where s.job_id = p_job_id and s.kind = 'merge' and s.state = 'done';
    select v_done.inserted + u.inserted as inserted, v_done.updated + u.updated as updated into v_done
    from sluice.unnoted(v_job) as u;
    v_job.keeps_stage := v_job.kind = 'import' and v_job.phase is distinct from 'fetch';
    if v_job.phase = 'fetch' then
        perform sluice.clear_fetch(p_job_id);
    end if;
    update sluice.job as j
    set
        state = p_state,
        inserted = v_done.inserted,
        updated = v_done.updated,
        unchanged = 0,
        dropped = 0,
        unprocessed = j.received - j.rejected - v_done.inserted - v_done.updated,
        completed_at = clock_timestamp(),
        keeps_stage = v_job.keeps_stage,
        error = p_error
    where j.job_id = p_job_id;
    -- all or nothing: what its one step did was undone
    delete from sluice.result as r
    using sluice.job as j
    where j.job_id = p_job_id and r.job_id = p_job_id and (j.options ->> 'atomic')::boolean;
    update sluice.job as j
    set swept = sluice.drop_tables(p_job_id, p_stage => not v_job.keeps_stage)
    where j.job_id = p_job_id;
    perform sluice.end_job(p_job_id);
    perform sluice.let_others_go();
end;
$$;
comment on function sluice.stop_job(uuid, text, jsonb) is
'Ends a job short of its end, as failed or cancelled: what is merged is counted, the rest is
 unprocessed; the stage of an import is kept for a retry, its plan is not.';

create or replace function sluice.let_others_go()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from sluice.job as j where j.state = 'pending' and j.kind = 'import') then
        perform sluice.announce('work');
    end if;
end;
$$;
comment on function sluice.let_others_go() is
'Tells idle workers, when an import has ended, that others may have waited for it.';

create or replace function sluice.fail_job(p_job_id uuid, p_title text, p_detail text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.stop_job(p_job_id, 'failed', jsonb_build_object(
        'type', 'about:blank', 'title', p_title, 'status', 422, 'detail', p_detail, 'error', p_detail
    ));
end;
$$;
comment on function sluice.fail_job(uuid, text, text) is
'Ends a job as failed, with the reason (sluice.stop_job).';

create or replace function sluice.move_sequences(p_spec jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_field record;
begin
    for v_field in
        select f ->> 'ident' as ident,
            pg_get_serial_sequence(p_spec ->> 'table', f ->> 'name') as sequence
        from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'given')::boolean and (f ->> 'writable')::boolean
            and pg_get_serial_sequence(p_spec ->> 'table', f ->> 'name') is not null
    loop
        execute format($sql$
            select setval(%L, m.max)
            from (select max(t.%s)::bigint as max from %s as t) as m,
                (select s.last_value, s.is_called from %s as s) as s
            where m.max > s.last_value or (m.max = s.last_value and not s.is_called)
        $sql$, v_field.sequence, v_field.ident, p_spec ->> 'table', v_field.sequence);
    end loop;
end;
$$;
comment on function sluice.move_sequences(jsonb) is
'Moves the sequences of written columns past their maximum, so that the next own number is free.';

create or replace function sluice.finish_job(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_done record;
    v_sample jsonb;
    v_dry boolean;
    v_own constant text := current_setting('role');
begin
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id;
    v_dry := coalesce(v_job.options ->> 'dry_run' in ('true', 'write'), false);
    -- bigint as below: a session's plan of what follows holds for one type only
    select coalesce(sum(s.inserted), 0)::bigint as inserted,
        coalesce(sum(s.updated), 0)::bigint as updated
    into v_done
    from sluice.step as s
    where s.job_id = p_job_id and s.kind = 'merge' and s.state = 'done';
    if v_job.options ->> 'dry_run' = 'true' then
        select (v_job.metrics ->> 'to_insert')::bigint as inserted,
            (v_job.metrics ->> 'to_update')::bigint as updated
        into v_done;
    end if;
    if v_job.spec ->> 'login' is not null then
        -- its own session has done both
        v_sample := v_job.sample;
    elsif v_dry and v_job.statements ? 'sample' then
        perform set_config('role', coalesce(v_job.spec ->> 'role', v_own), true);
        execute v_job.statements ->> 'sample' into v_sample;
        perform set_config('role', v_own, true);
    elsif not v_dry then
        perform sluice.move_sequences(v_job.spec);
    end if;
    update sluice.job as j
    set
        state = 'completed',
        outcome = case when j.rejected = 0 then 'clean' else 'partial' end,
        inserted = v_done.inserted,
        updated = v_done.updated,
        unchanged = j.received - j.rejected - j.dropped - v_done.inserted - v_done.updated,
        done = j.received,
        sample = v_sample,
        metrics = j.metrics - '{to_insert,to_update,last_error}'::text[],
        completed_at = clock_timestamp()
    where j.job_id = p_job_id;
    update sluice.job as j set swept = sluice.drop_tables(p_job_id) where j.job_id = p_job_id;
    perform sluice.end_job(p_job_id);
    perform sluice.let_others_go();
end;
$$;
comment on function sluice.finish_job(uuid) is
'Ends a job as completed: counts, sequences, the sample of a dry run; its tables are dropped, or
 left to the sweeper when somebody holds them.';

-- pg_catalog.char is the one-byte type "char"; char alone would be character(1)
create or replace function sluice.keep_results(
    p_job sluice.job, p_from bigint, p_to bigint, p_actions pg_catalog.char[]
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if (p_job.options ->> 'results')::boolean is not true or p_job.options ->> 'dry_run' in ('true', 'write') then
        return;
    end if;
    -- kept with the step that did it: the work table would be empty after a crash
    execute format($sql$
        insert into sluice.result (job_id, n, action, key)
        select $1, w._n,
            case w._action when 'i' then 'inserted' when '=' then 'unchanged' else 'updated' end,
            %s
        from %s as w
        where w._n >= $2 and w._n < $3 and w._action = any ($4)
            and not exists (select from %s as e where e._n = w._n)
        on conflict do nothing
    $sql$, coalesce((
        select 'jsonb_build_object(' || string_agg(format(
            -- a type of the table's owner may bring its own cast to json: not here
            case when (p_job.spec ->> 'login') is not null and to_regtype(f ->> 'base_type')::oid >= 16384
                then '%L, concat(w.%I)' else '%L, w.%I' end, f ->> 'name', f ->> 'name'
        ), ', ') || ')'
        from jsonb_array_elements(p_job.spec -> 'fields') as f
        where p_job.spec -> 'identity' ? (f ->> 'name')
    ), 'null'), p_job.spec ->> 'work', p_job.spec ->> 'extra') using p_job.job_id, p_from, p_to, p_actions;
end;
$$;
comment on function sluice.keep_results(sluice.job, bigint, bigint, pg_catalog.char[]) is
'Keeps what became of each good record of a range, for results=true.';
