create or replace function sluice.keep_rejects(p_job sluice.job)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_total bigint;
begin
    execute format($sql$
        create temporary table pgsluice_rejects on commit drop as
        select x._n, jsonb_agg(x.error order by x.part, x.place) as errors
        from (
            select p._n, 1 as part, e.place, e.error
            from %1$s as p
            cross join lateral jsonb_array_elements(p._errors) with ordinality as e (error, place)
            where p._errors is not null
            union all
            select x._n, 2, 0, x._error from %2$s as x where not x._dropped
            union all
            select w._n, 3, e.place, e.error
            from %3$s as w
            cross join lateral jsonb_array_elements(w._errors) with ordinality as e (error, place)
            where w._errors is not null
        ) as x
        group by x._n
    $sql$, p_job.spec ->> 'plan', p_job.spec ->> 'extra', p_job.spec ->> 'work');
    select count(*) into v_total from pg_temp.pgsluice_rejects;
    perform sluice.store_rejects(p_job, v_total);
    drop table pg_temp.pgsluice_rejects;
    return v_total;
end;
$$;
comment on function sluice.keep_rejects(sluice.job) is
'Collects the errors of the plan and keeps the rejected records as sent. Returns how many there are.';

create or replace function sluice.store_rejects(p_job sluice.job, p_total bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_total = 0 then
        return;
    end if;
    execute format($sql$
        insert into sluice.reject (job_id, n, line, cells, record, malformed, errors)
        select $1, r._n,
            coalesce(s._line_no, (
                select b.line + (r._n - b.n) from sluice.line_break as b
                where b.job_id = $1 and b.n <= r._n
                order by b.n desc
                limit 1
            )),
            %1$s, coalesce(s._malformed, %2$s), s._malformed is not null, r.errors
        from (
            select t._n, t.errors from pg_temp.pgsluice_rejects as t order by t._n limit $2
        ) as r
        inner join %3$s as s on r._n = s._n
        on conflict do nothing
    $sql$,
        case p_job.shape
            when 'array' then 's.cells'
            when 'line' then 'null::text[]'
            else (
                select 'array[' || string_agg(
                    sluice.stage_cell(p_job.shape, h.place::integer, h.name), ', ' order by h.place
                ) || ']'
                from unnest(p_job.header) with ordinality as h (name, place)
            )
        end,
        case when p_job.shape = 'line' then 's.line' else 'null' end,
        p_job.spec ->> 'stage'
    ) using p_job.job_id, coalesce((p_job.options ->> 'max_errors')::bigint, 100000);
end;
$$;
comment on function sluice.store_rejects(sluice.job, bigint) is
'Writes the collected rejects, up to max_errors of the job, with their lines and raw records.';

create or replace function sluice.match_step(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '256MB'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_statement text;
    v_list jsonb;
    v_rows bigint;
    v_total bigint;
    v_rejected bigint;
    v_dropped bigint;
    v_inserts bigint;
    v_updates bigint;
    v_unknown text[];
    v_lists constant jsonb := coalesce(p_job.statements -> 'children', '[]');
begin
    perform set_config('datestyle', 'ISO, YMD', true);
    -- a plan without statistics gets bad joins
    execute format('analyze %s', p_job.spec ->> 'plan');
    for v_list in select l from jsonb_array_elements(v_lists) as l loop
        execute v_list ->> 'errors';
    end loop;
    for v_statement in select s from jsonb_array_elements_text(p_job.statements -> 'duplicates') as s loop
        execute v_statement;
    end loop;
    for v_list in select l from jsonb_array_elements(v_lists) as l loop
        execute v_list ->> 'duplicates';
    end loop;
    if p_job.options ->> 'on_duplicate' in ('first', 'last') then
        -- dropped by two keys is dropped once
        execute format(
            'delete from %1$s as a using %1$s as b where a._n = b._n and a.ctid > b.ctid', p_job.spec ->> 'extra'
        );
    end if;
    execute format('analyze %s', p_job.spec ->> 'extra');
    execute p_job.statements ->> 'match';
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

    v_rejected := sluice.keep_rejects(p_job);
    if p_job.spec ->> 'source' = 'json' and p_job.options ->> 'unknown_fields' = 'ignore' then
        execute format(
            'select array(select distinct u from %s as p cross join lateral unnest(p._unknown) as u'
            ' where p._unknown is not null order by u limit 100)', p_job.spec ->> 'plan'
        ) into v_unknown;
    end if;
    execute format('select count(distinct e._n) from %s as e where e._dropped', p_job.spec ->> 'extra')
    into v_dropped;
    execute format($sql$
        select count(*) filter (where w._action = 'i'), count(*) filter (where w._action in ('u', 'c'))
        from %s as w
        where w._action in ('i', 'u', 'c') and not exists (select from %s as e where e._n = w._n)
    $sql$, p_job.spec ->> 'work', p_job.spec ->> 'extra')
    into v_inserts, v_updates;

    update sluice.job as j
    set
        rejected = v_rejected,
        dropped = v_dropped,
        unchanged = j.received - v_rejected - v_dropped - v_inserts - v_updates,
        ignored_fields = coalesce(v_unknown, j.ignored_fields),
        metrics = j.metrics || jsonb_build_object('to_insert', v_inserts, 'to_update', v_updates)
    where j.job_id = p_job.job_id;
    update sluice.step as s
    set state = 'done', rows = v_inserts + v_updates, finished_at = clock_timestamp()
    where s.step_id = p_step.step_id;
    return p_job.received;
end;
$$;
comment on function sluice.match_step(sluice.job, sluice.step) is
'The match, one pass for the whole file: duplicates, the rows that records mean, what is to be done, and
 the rejects of all that can be known before the write.';
