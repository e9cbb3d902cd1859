-- Records with errors, kept as they were sent.

create or replace function sluice.keep_rejects(p_job sluice.job)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_total bigint;
begin
    -- a clean file needs no table of its rejects
    execute format(
        'select (exists (select from %s as p where p._errors is not null)'
        ' or exists (select from %s as x where not x._dropped)'
        ' or exists (select from %s as w where w._errors is not null))::integer',
        p_job.spec ->> 'plan', p_job.spec ->> 'extra', p_job.spec ->> 'work'
    ) into v_total;
    if v_total = 0 then
        return 0;
    end if;
    execute format($sql$
        create temporary table pgsluice_rejects on commit drop as
        select x._n, jsonb_agg(x.error order by x.part, x.place, x.error) as errors
        from (
            select p._n, 1 as part, e.place, e.error
            from %1$s as p
            cross join lateral jsonb_array_elements(p._errors) with ordinality as e (error, place)
            where p._errors is not null
            union all
            -- by whom and when they were found does not matter: in the order of the keys
            select x._n, 2, coalesce(array_position($1, x._error ->> 'constraint'), 0), x._error
            from %2$s as x
            where not x._dropped
            union all
            select w._n, 3, e.place, e.error
            from %3$s as w
            cross join lateral jsonb_array_elements(w._errors) with ordinality as e (error, place)
            where w._errors is not null
                and not exists (select from %2$s as d where d._n = w._n and d._dropped)
        ) as x
        group by x._n
    $sql$, p_job.spec ->> 'plan', p_job.spec ->> 'extra', p_job.spec ->> 'work')
    using array(
        select k ->> 'name' from jsonb_array_elements(p_job.spec -> 'keys') with ordinality as u (k, place)
        order by place
    );
    select count(*) into v_total from pg_temp.pgsluice_rejects;
    perform sluice.store_rejects(p_job, v_total);
    return v_total;
end;
$$;
comment on function sluice.keep_rejects(sluice.job) is
'Collects the errors of the plan and keeps the rejected records as sent. Returns how many there
 are; their numbers stay in pg_temp.pgsluice_rejects, unless there are none.';

create or replace function sluice.store_rejects(p_job sluice.job, p_total bigint)
returns void
language plpgsql volatile
-- of a stage without statistics half of the records are expected, and few are passed on
set parallel_tuple_cost = 0
set search_path = pg_catalog, pg_temp
as $$
declare
    v_most constant bigint := coalesce((p_job.options ->> 'max_errors')::bigint, 100000);
    v_sent text := p_job.spec ->> 'stage';
begin
    if p_total = 0 then
        return;
    end if;
    -- some records of a large stage, which has no index: read with several processes, as Postgres
    -- does for a new table only, and one in which no temporary table is joined
    if p_job.received > 1000 and least(p_total, v_most) <= 100000 then
        execute format(
            'create temporary table pgsluice_sent on commit drop as'
            ' select s.* from %s as s where s._n = any($1)', p_job.spec ->> 'stage'
        ) using array(
            select t._n from pg_temp.pgsluice_rejects as t order by t._n limit v_most
        );
        v_sent := 'pg_temp.pgsluice_sent';
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
        order by r._n
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
        case when p_job.shape = 'line' then 's.line' else 'null' end, v_sent
    ) using p_job.job_id, v_most;
    if v_sent <> p_job.spec ->> 'stage' then
        drop table pg_temp.pgsluice_sent;
    end if;
end;
$$;
comment on function sluice.store_rejects(sluice.job, bigint) is
'Writes the collected rejects, up to max_errors of the job, with their lines and raw records.';

create or replace function sluice.reject_writes(p_job sluice.job, p_rejects jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_rejects = '[]' then
        return;
    end if;
    execute format(
        'insert into %s (_n, _dropped, _error)'
        ' select (r ->> ''n'')::bigint, false, r -> ''error'' from jsonb_array_elements($1) as r',
        p_job.spec ->> 'extra'
    ) using p_rejects;
    create temporary table pgsluice_rejects on commit drop as
    select (r ->> 'n')::bigint as _n, jsonb_build_array(r -> 'error') as errors
    from jsonb_array_elements(p_rejects) as r;
    perform sluice.store_rejects(p_job, jsonb_array_length(p_rejects));
    drop table pg_temp.pgsluice_rejects;
    update sluice.job as j
    set rejected = j.rejected + jsonb_array_length(p_rejects)
    where j.job_id = p_job.job_id;
end;
$$;
comment on function sluice.reject_writes(sluice.job, jsonb) is
'Makes rejects of the records that could not be written.';
