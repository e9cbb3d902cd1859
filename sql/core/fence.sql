-- Steps of jobs whose API key has a login of its own. The service claims a step and holds it in an
-- open transaction; the login's session does what touches the target, and notes what it did in a
-- table of the job, both in one transaction; then the service keeps the books. Nothing is run with
-- the rights of a definer: code of the target has the login's rights and no others.

create or replace function sluice.share_plan(p_job sluice.job, p_tables text[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_login constant text := p_job.spec ->> 'login';
    v_outcomes constant text := sluice.stage_name(p_job.job_id, 'o');
begin
    if v_login is null then
        return;
    end if;
    -- logged, unlike the plan: it is the only word of what was committed
    execute format('create table %s (step_id bigint primary key, result jsonb)', v_outcomes);
    perform sluice.share_table(v_outcomes);
    execute format('grant select, insert, update on %s to %I', v_outcomes, v_login);
    execute format('grant select on %s to %I', p_job.spec ->> 'stage', v_login);
    execute format(
        'grant select, insert, update, delete on %s to %I', array_to_string(p_tables, ', '), v_login
    );
end;
$$;
comment on function sluice.share_plan(sluice.job, text[]) is
'Lets the login of a job''s key work in the tables of that job, and makes the one in which it tells
 what it did.';

create or replace function sluice.open_fence(p_job sluice.job, p_step sluice.step)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_step.kind = 'merge' then
        -- held here until the books are kept, when what the login wrote is committed
        perform sluice.pass_gate(p_job.resource);
    end if;
    return sluice.fence_up(
        jsonb_build_object(
            'status', 'fenced',
            'job_id', p_job.job_id,
            'job', jsonb_build_object(
                'job_id', p_job.job_id, 'options', p_job.options, 'spec', p_job.spec,
                'statements', p_job.statements
            ),
            'step', to_jsonb(p_step)
        ),
        p_job.spec ->> 'login'
    );
exception when lock_not_available then
    return sluice.carry_out(
        p_job, p_step, jsonb_build_object('fault', jsonb_build_object(
            'sqlstate', sqlstate, 'message', sqlerrm
        ))
    );
end;
$$;
comment on function sluice.open_fence(sluice.job, sluice.step) is
'A claimed step as its login''s session is to carry it out (sluice.fence_work), before the
 transaction that holds the claim ends with sluice.fence_close. A merge that finds the gate closed
 (sluice.pass_gate) is noted as tried.';

create or replace function sluice.fence_work(job jsonb, step jsonb, login text, fence text)
returns void
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := jsonb_populate_record(null::sluice.job, job);
    v_step constant sluice.step := jsonb_populate_record(null::sluice.step, step);
    v_outcomes constant text := sluice.stage_name(v_job.job_id, 'o');
    v_dry constant text := coalesce(v_job.options ->> 'dry_run', 'false');
    v_result jsonb;
    v_sample jsonb;
begin
    perform sluice.check_fence(login, fence);
    -- whoever cancels the job finds this session too
    if not sluice.hold_job(v_job.job_id) then
        raise exception 'job % is being ended', v_job.job_id using errcode = '55P03';
    end if;
    -- first: of two that take the same step only one comes to its end
    execute format('insert into %s (step_id) values ($1)', v_outcomes) using v_step.step_id;
    case v_step.kind
        when 'cast' then
            v_result := jsonb_build_object('rows', sluice.cast_records(v_job, v_step));
        when 'match' then
            perform sluice.judge_records(v_job, false);
            v_result := '{}';
        else
            v_result := sluice.write_records(v_job, v_step, false);
            if v_dry = 'false' then
                perform sluice.move_own_sequences(v_job.spec);
            end if;
    end case;
    if v_job.statements ? 'sample'
        and (v_dry, v_step.kind) in (('true', 'match'), ('write', 'merge')) then
        execute v_job.statements ->> 'sample' into v_sample;
        v_result := v_result || jsonb_build_object('sample', v_sample);
    end if;
    execute format('update %s set result = $2 where step_id = $1', v_outcomes)
    using v_step.step_id, v_result;
end;
$$;
comment on function sluice.fence_work(jsonb, jsonb, text, text) is
'In a session of the login, in a transaction of its own: what a step does to the target, with the
 note that it did. It has the rights of its caller, so code of the target has no others.';

create or replace function sluice.move_own_sequences(p_spec jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.move_sequences(p_spec);
exception when insufficient_privilege then
    -- whose next number is not the login's to say
    null;
end;
$$;
comment on function sluice.move_own_sequences(jsonb) is
'sluice.move_sequences, for a login that may lack select and update on them.';

create or replace function sluice.fence_outcome(p_job sluice.job, p_step sluice.step)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_result jsonb;
begin
    if to_regclass(sluice.stage_name(p_job.job_id, 'o')) is not null then
        execute format(
            'select o.result from %s as o where o.step_id = $1', sluice.stage_name(p_job.job_id, 'o')
        ) into v_result using p_step.step_id;
    end if;
    return v_result;
end;
$$;
comment on function sluice.fence_outcome(sluice.job, sluice.step) is
'What a session of the login has committed for a step; null: nothing.';

create or replace function sluice.take_fenced(p_job sluice.job, p_step sluice.step)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_outcome constant jsonb := sluice.fence_outcome(p_job, p_step);
begin
    if v_outcome is not null then
        -- its worker died before it could say so
        return sluice.carry_out(p_job, p_step, v_outcome);
    elsif p_step.kind = 'match' then
        -- the login may not, and a plan without statistics gets bad joins
        execute format('analyze %s', p_job.spec ->> 'plan');
    end if;
    return sluice.claim_step(p_job, p_step) || jsonb_build_object('login', p_job.spec ->> 'login');
end;
$$;
comment on function sluice.take_fenced(sluice.job, sluice.step) is
'Claims a step for a session of its login, or keeps the books of one that was carried out.';

create or replace function sluice.fence_close(step_id bigint, fault jsonb default null)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_step sluice.step;
begin
    select s.* into v_step from sluice.step as s where s.step_id = fence_close.step_id;
    select j.* into v_job from sluice.job as j where j.job_id = v_step.job_id;
    return sluice.tell_step(sluice.carry_out(v_job, v_step, coalesce(
        -- what is committed counts, though its reply was lost
        sluice.fence_outcome(v_job, v_step),
        jsonb_build_object('fault', coalesce(
            fault, '{"sqlstate": "IO503", "message": "the session of the login left no word"}'
        ))
    )));
end;
$$;
comment on function sluice.fence_close(bigint, jsonb) is
'Keeps the books of a step whose login''s session has ended, well or with a fault: {"sqlstate",
 "message"}; in the transaction that claimed it. Returns as sluice.next_step does.';

create or replace function sluice.note_outcome(
    p_job sluice.job, p_step sluice.step, p_outcome jsonb
)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_outcome ? 'fault' then
        raise exception '%', left(p_outcome -> 'fault' ->> 'message', 2000) using
            errcode = p_outcome -> 'fault' ->> 'sqlstate';
    end if;
    if p_outcome ? 'sample' then
        update sluice.job as j
        set sample = jsonb_path_query_array(p_outcome, '$.sample[0 to 19] ? (@.type() == "object")')
        where j.job_id = p_job.job_id;
    end if;
    case p_step.kind
        when 'cast' then
            return sluice.note_cast(p_job, p_step, (p_outcome ->> 'rows')::bigint);
        when 'match' then
            if sluice.plan_is_lost(p_job) then
                perform sluice.cast_again(p_job.job_id);
                return 0;
            end if;
            perform sluice.leave_merged(p_job);
            return sluice.note_match(p_job, p_step);
        else
            return sluice.note_writes(p_job, p_step, sluice.believed(p_job, p_step, p_outcome));
    end case;
end;
$$;
comment on function sluice.note_outcome(sluice.job, sluice.step, jsonb) is
'What a session of the login told of a step becomes the state of the job; raises its fault.';

create or replace function sluice.believed(p_job sluice.job, p_step sluice.step, p_outcome jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows constant bigint := (
        select t.o_inserts + t.o_updates + t.o_lists
        from sluice.count_todo(p_job.spec, p_step.lo, p_step.hi) as t
    );
    v_rejects jsonb;
    v_sum bigint;
begin
    if v_rows <> p_step.rows then
        return '{"lost": true}';
    elsif p_outcome ? 'split' and v_rows > 500 then
        return jsonb_build_object('split', true, 'rows', v_rows);
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('n', x.n, 'error', sluice.record_error(
        case when x.error ->> 'code' = 'reference' then 'reference' else 'write' end,
        left(x.error ->> 'field', 63), left(x.error ->> 'constraint', 63),
        coalesce(left(x.error ->> 'message', 2000), 'it could not be written'),
        x.error ->> 'value', left(x.error ->> 'sqlstate', 5)
    ))), '[]') into v_rejects
    from (
        select distinct on (r ->> 'n') (r ->> 'n')::bigint as n, r -> 'error' as error
        from jsonb_array_elements(p_outcome -> 'rejects') as r
        where (r ->> 'n')::bigint >= p_step.lo and (r ->> 'n')::bigint < p_step.hi
    ) as x;
    v_sum := (p_outcome ->> 'inserted')::bigint + (p_outcome ->> 'updated')::bigint;
    if least((p_outcome ->> 'inserted')::bigint, (p_outcome ->> 'updated')::bigint) < 0
        or v_sum + jsonb_array_length(v_rejects) <> v_rows
        -- all or nothing: of one with rejects nothing stays
        and not (v_sum = 0 and v_rejects <> '[]' and (p_job.options ->> 'atomic')::boolean is true) then
        raise exception 'the session of login % tells of % written and % rejected records, of %',
            quote_literal(p_job.spec ->> 'login'), v_sum, jsonb_array_length(v_rejects), v_rows using
            errcode = 'XX000';
    end if;
    return jsonb_build_object(
        'rows', v_rows, 'inserted', p_outcome -> 'inserted', 'updated', p_outcome -> 'updated',
        'rejects', v_rejects, 'children', coalesce(p_outcome -> 'children', '{}')
    );
end;
$$;
comment on function sluice.believed(sluice.job, sluice.step, jsonb) is
'What is believed of a login''s word on a merge: counts that add up to the plan''s, and rejects of
 the step''s own records, in their usual form. Code of the target can have written that word, of jobs
 of its own login.';

create or replace function sluice.unnoted(p_job sluice.job, out inserted bigint, out updated bigint)
returns record
language plpgsql volatile
set lock_timeout = '10s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_outcomes constant text := sluice.stage_name(p_job.job_id, 'o');
begin
    inserted := 0;
    updated := 0;
    if p_job.spec ->> 'login' is null or to_regclass(v_outcomes) is null then
        return;
    end if;
    -- what still runs is stopped, and has committed or never will
    perform sluice.interrupt_workers(p_job.job_id);
    execute format('lock table %s in share mode', v_outcomes);
    if p_job.options ->> 'dry_run' in ('true', 'write') then
        return;
    end if;
    execute format($sql$
        select coalesce(sum(c.inserted), 0), coalesce(sum(least(c.updated, c.rows - c.inserted)), 0)
        from (
            select s.rows,
                least(greatest(jsonb_path_query_first(
                    o.result, '$.inserted ? (@.type() == "number")'
                )::numeric, 0), s.rows) as inserted,
                greatest(jsonb_path_query_first(
                    o.result, '$.updated ? (@.type() == "number")'
                )::numeric, 0) as updated
            from sluice.step as s
            inner join %s as o on s.step_id = o.step_id
            where s.job_id = $1 and s.kind = 'merge' and s.state = 'todo' and o.result is not null
        ) as c
    $sql$, v_outcomes) into inserted, updated using p_job.job_id;
end;
$$;
comment on function sluice.unnoted(sluice.job) is
'What sessions of the job''s login have written in steps of which the books do not know yet, when
 the job is ended.';
