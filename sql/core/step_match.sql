create or replace function sluice.match_range(
    p_job sluice.job, p_from bigint, p_to bigint, p_guilty integer
)
returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_into constant text := format('insert into %s (_n, _via, _action, _errors%s) ', p_job.spec ->> 'work', (
        select string_agg(format(', %I', i), '' order by place)
        from jsonb_array_elements_text(p_job.spec -> 'identity') with ordinality as u (i, place)
    ));
    v_first bigint;
    v_last bigint;
    v_middle bigint;
    v_code text;
    v_message text;
begin
    begin
        perform set_config('search_path', sluice.own_path(p_job.spec), true);
        if p_job.received > 1000 then
            -- Postgres reads with several processes for a new table only
            execute 'create temporary table pgsluice_matched on commit drop as '
                || (p_job.statements ->> 'match') using p_from, p_to;
            execute v_into || 'select m.* from pg_temp.pgsluice_matched as m';
            drop table pg_temp.pgsluice_matched;
        else
            execute v_into || (p_job.statements ->> 'match') using p_from, p_to;
        end if;
        return p_guilty;
    exception when others then
        v_code := sqlstate;
        v_message := sqlerrm;
        -- each guilty record costs a search of its own: a rule that always fails is no record's fault
        if sluice.fault_class(v_code) <> 'record' and v_code <> '54001' or p_guilty >= 1000
            or sluice.lacks_right(p_job, v_code) then
            raise;
        end if;
    end;

    -- a rule or a CHECK that raises: halve the set until the guilty record is alone
    execute format(
        'select min(p._n), max(p._n) from %s as p where p._n >= $1 and p._n < $2', p_job.spec ->> 'plan'
    ) into v_first, v_last using p_from, p_to;
    if v_first < v_last then
        v_middle := v_first + (v_last - v_first) / 2 + 1;
        p_guilty := sluice.match_range(p_job, v_first, v_middle, p_guilty);
        return sluice.match_range(p_job, v_middle, v_last + 1, p_guilty);
    elsif v_first is null then
        raise exception '%', v_message using errcode = v_code;
    end if;
    execute format('insert into %s (_n, _dropped, _error) values ($1, false, $2)', p_job.spec ->> 'extra')
    using v_first, sluice.record_error('check', null, null, v_message, null, v_code);
    return p_guilty + 1;
end;
$$;
comment on function sluice.match_range(sluice.job, bigint, bigint, integer) is
'Matches the records of a range; one that makes the statement fail is found by halving and gets the
 SQLSTATE as its error. Returns p_guilty and those found here.';

create or replace function sluice.leave_merged(p_job sluice.job)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'done'
    ) then
        return;
    end if;
    -- the plan was lost in a crash and cast again: what the done steps merged and rejected is final
    execute format($sql$
        delete from %s as w
        using sluice.step as s
        where s.job_id = $1 and s.kind = 'merge' and s.state = 'done' and w._n >= s.lo and w._n < s.hi
            and (w._errors is null or not exists (
                select from sluice.reject as r
                where r.job_id = $1 and r.n = w._n and not r.errors @> '[{"code": "write"}]'
            ))
    $sql$, p_job.spec ->> 'work') using p_job.job_id;
end;
$$;
comment on function sluice.leave_merged(sluice.job) is
'Takes the records of done merge steps out of a match that is made again: they are judged for
 good.';

create or replace function sluice.imply(p_job sluice.job)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_implied boolean := p_job.received > 1000 and sluice.may_imply(p_job.spec) and not exists (
        -- those that are merged would be taken for new
        select from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'done'
    );
begin
    if v_implied then
        execute sluice.sql_probe(p_job.spec) into v_implied using least(100, 200000.0 / p_job.received);
    end if;
    if v_implied <> sluice.is_implied(p_job.spec) then
        p_job.spec := p_job.spec || jsonb_build_object('implied', v_implied);
        p_job.statements := sluice.import_statements(p_job.spec);
        update sluice.job as j
        set spec = p_job.spec, statements = p_job.statements
        where j.job_id = p_job.job_id;
    end if;
    return p_job;
end;
$$;
comment on function sluice.imply(sluice.job) is
'Decides what a record without a row in the work table will be, a new row or one that stays, by what
 most of some 2,000 records are. Returns the job with its statements.';

create or replace function sluice.find_duplicates(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '256MB'
-- keys are grouped by sorting their hashes
set enable_hashagg = off
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('datestyle', 'ISO, YMD', true);
    execute p_job.statements -> 'duplicates' ->> (p_step.lo - 1)::integer;
    update sluice.step as s
    set state = 'done', rows = 0, finished_at = clock_timestamp()
    where s.step_id = p_step.step_id;
    return 0;
end;
$$;
comment on function sluice.find_duplicates(sluice.job, sluice.step) is
'Finds the records of the file that have the step''s lo-th key in common. No progress: 0.';

create or replace function sluice.plan_is_lost(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows bigint;
begin
    -- the plan is unlogged: after a crash of Postgres it is empty, not absent
    execute format('select count(*) from %s as p', p_job.spec ->> 'plan') into v_rows;
    return v_rows <> (
        select coalesce(sum(s.rows), 0) from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'cast'
    );
end;
$$;
comment on function sluice.plan_is_lost(sluice.job) is
'Whether the plan no longer holds what the cast has written.';

create or replace function sluice.ready_plan(p_job sluice.job)
returns void
language plpgsql volatile
-- 9,000 records tell enough of any number
set default_statistics_target = 30
set search_path = pg_catalog, pg_temp
as $$
declare
    v_list jsonb;
begin
    -- a plan without statistics gets bad joins; that of a login is its service's to analyze
    if p_job.spec ->> 'login' is null then
        execute format('analyze %s', p_job.spec ->> 'plan');
    end if;
    for v_list in
        select l from jsonb_array_elements(coalesce(p_job.statements -> 'children', '[]')) as l
    loop
        execute v_list ->> 'errors';
    end loop;
end;
$$;
comment on function sluice.ready_plan(sluice.job) is
'What goes before the search for duplicates: statistics, and the errors of lists, which are their
 record''s.';

create or replace function sluice.judge_records(p_job sluice.job, p_searched boolean)
returns void
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '128MB'
-- little of what is read is passed on
set parallel_tuple_cost = 0
set search_path = pg_catalog, pg_temp
as $$
declare
    v_statement text;
    v_list jsonb;
    v_rows bigint;
    v_total bigint;
    v_lists constant jsonb := coalesce(p_job.statements -> 'children', '[]');
    v_own constant boolean := p_job.spec ->> 'login' is null;
begin
    perform set_config('datestyle', 'ISO, YMD', true);
    if not p_searched then
        perform sluice.ready_plan(p_job);
        for v_statement in
            select s from jsonb_array_elements_text(p_job.statements -> 'duplicates') as s
        loop
            execute v_statement;
        end loop;
    end if;
    for v_list in select l from jsonb_array_elements(v_lists) as l loop
        execute v_list ->> 'duplicates';
    end loop;
    if p_job.options ->> 'on_duplicate' in ('first', 'last') then
        -- dropped by two keys is dropped once, and what has errors is rejected instead
        execute format(
            'delete from %1$s as a using %1$s as b'
            ' where a._dropped and a._n = b._n and (not b._dropped or a.ctid > b.ctid)', p_job.spec ->> 'extra'
        );
    end if;
    if v_own then
        execute format('analyze %s', p_job.spec ->> 'extra');
    end if;
    perform sluice.match_range(p_job, 0, 9223372036854775807, 0);
    if v_own then
        perform sluice.leave_merged(p_job);
        perform sluice.reject_hidden(p_job);
    end if;
    for v_list in select l from jsonb_array_elements(v_lists) as l loop
        execute v_list ->> 'match';
        execute v_list ->> 'faults';
    end loop;
    for v_statement in
        select s from jsonb_array_elements_text(p_job.statements -> 'fallback_conflicts') as s
    loop
        execute v_statement;
    end loop;
    loop
        v_total := 0;
        for v_statement in
            select s from jsonb_array_elements_text(p_job.statements -> 'self_references') as s
        loop
            execute v_statement;
            get diagnostics v_rows = row_count;
            v_total := v_total + v_rows;
        end loop;
        exit when v_total = 0;
    end loop;

    for v_list in select l from jsonb_array_elements(v_lists) as l loop
        execute v_list ->> 'changes';
    end loop;
end;
$$;
comment on function sluice.judge_records(sluice.job, boolean) is
'Judges the records of the plan against each other and the target: duplicates (p_searched: they are
 known), the rows that they mean, what is to be done.';

create or replace function sluice.match_step(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_step.lo > 0 then
        return sluice.find_duplicates(p_job, p_step);
    elsif sluice.plan_is_lost(p_job) then
        perform sluice.cast_again(p_job.job_id);
        return 0;
    end if;
    p_job := sluice.imply(p_job);
    perform sluice.judge_records(p_job, exists (
        select from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'match' and s.lo > 0
    ));
    return sluice.note_match(p_job, p_step);
end;
$$;
comment on function sluice.match_step(sluice.job, sluice.step) is
'The match, one pass for the whole file: duplicates, the rows that records mean, what is to be done,
 and the rejects of all that can be known before the write.';
