create or replace function sluice.write_range(
    p_job sluice.job, p_from bigint, p_to bigint, p_inserts bigint, p_updates bigint,
    out o_inserted bigint, out o_updated bigint, out o_children jsonb
)
returns record
language plpgsql volatile
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '64MB'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_inserts bigint := p_inserts;
    v_updates bigint := p_updates;
    v_lists bigint := 0;
    v_list jsonb;
    v_counts jsonb;
    v_own constant text := current_setting('role');
    v_role constant text := coalesce(p_job.spec ->> 'role', current_setting('role'));
begin
    o_inserted := 0;
    o_updated := 0;
    o_children := '{}';
    if v_inserts is null then
        select t.o_inserts, t.o_updates, t.o_lists into v_inserts, v_updates, v_lists
        from sluice.count_todo(p_job.spec, p_from, p_to) as t;
    end if;

    -- the table's own code (triggers, defaults) runs under its own path
    perform set_config('search_path', p_job.spec ->> 'search_path', true);
    -- as the role of the API key, so that grants and row level security bind
    perform pg_catalog.set_config('role', v_role, true);
    if v_inserts > 0 then
        execute p_job.statements ->> 'insert' using p_from, p_to;
        get diagnostics o_inserted = row_count;
    end if;
    if v_updates > 0 then
        execute p_job.statements ->> 'update' using p_from, p_to;
        get diagnostics o_updated = row_count;
    end if;
    perform pg_catalog.set_config('role', v_own, true);
    for v_list in
        select l from pg_catalog.jsonb_array_elements(coalesce(p_job.statements -> 'children', '[]')) as l
    loop
        v_counts := sluice.write_list(
            v_list, p_job.spec ->> 'search_path', v_role, p_from, p_to
        );
        o_children := o_children || pg_catalog.jsonb_build_object(v_list ->> 'name', v_counts);
    end loop;
    -- what is deferred is judged here, where the guilty record can still be found
    perform pg_catalog.set_config('role', v_role, true);
    set constraints all immediate;
    perform pg_catalog.set_config('role', v_own, true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    if o_inserted <> v_inserts or o_updated <> v_updates then
        raise exception '%', case
            when o_inserted < v_inserts then 'a trigger or rule of the table kept the row from being written'
            else 'the row was changed or deleted by another writer after it was matched; send it again'
        end using errcode = '40002';
    end if;
    o_updated := o_updated + v_lists;
end;
$$;
comment on function sluice.write_range(sluice.job, bigint, bigint, bigint, bigint) is
'Carries out the plan for some record numbers; fails as a whole when any row cannot be written.
 p_inserts, p_updates: how many there are; null: they are counted.';

create or replace function sluice.add_counts(p_one jsonb, p_other jsonb)
returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_object_agg(k.name, (
    select jsonb_object_agg(c.key, c.total)
    from (
        select e.key, sum(e.value::bigint) as total
        from (
            select a.key, a.value from jsonb_each_text(p_one -> k.name) as a
            union all
            select b.key, b.value from jsonb_each_text(p_other -> k.name) as b
        ) as e
        group by e.key
    ) as c
)), '{}')
from (
    select jsonb_object_keys(p_one) as name
    union
    select jsonb_object_keys(p_other)
) as k;
end;
comment on function sluice.add_counts(jsonb, jsonb) is
'Adds counts of child rows: {"addresses": {"inserted": 2}}.';

create or replace function sluice.write_records(
    p_job sluice.job, p_step sluice.step, p_yields boolean
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done record;
    v_isolated record;
    v_code text;
    v_alone constant boolean := (p_job.options ->> 'atomic')::boolean is true
        or (p_job.options ->> 'dry_run' = 'write') is true;
begin
    begin
        -- what the lists of children change is known only by counting
        v_done := sluice.write_range(
            p_job, p_step.lo, p_step.hi,
            case when p_job.spec -> 'children' = '[]' then p_step.inserted end,
            case when p_job.spec -> 'children' = '[]' then p_step.updated end
        );
        if v_done.o_inserted + v_done.o_updated <> p_step.rows then
            raise exception 'the plan is not what it was' using errcode = '40002';
        end if;
        select v_done.o_inserted as x_inserted, v_done.o_updated as x_updated, '[]'::jsonb as x_rejects,
            v_done.o_children as x_children
        into v_isolated;
        if p_job.options ->> 'dry_run' = 'write' then
            raise exception 'rolled back' using errcode = 'IO200';
        end if;
    exception
        when sqlstate 'IO200' then null;
        when others then
            v_code := sqlstate;
            if v_code <> '40002' and sluice.fault_class(v_code) <> 'record'
                or p_yields and v_code in ('23505', '40002') then
                raise;
            end if;
            -- the plan is unlogged: after a crash of Postgres it is empty, not absent
            if p_step.rows <> (
                select t.o_inserts + t.o_updates + t.o_lists
                from sluice.count_todo(p_job.spec, p_step.lo, p_step.hi) as t
            ) then
                return '{"lost": true}';
            end if;
            if v_code in ('23505', '40002') and p_step.attempts < 2 and sluice.may_match_again(p_job) then
                return '{"again": true}';
            end if;
            -- subtransactions in thousands overflow the whole server's cache of them:
            -- big steps become smaller steps first, each a transaction of its own
            if p_step.rows > 500 and not v_alone and not (p_job.spec ->> 'self')::boolean then
                return '{"split": true}';
            end if;
            v_isolated := sluice.isolate_step(p_job, p_step, v_alone);
    end;
    return jsonb_build_object(
        'rows', p_step.rows, 'inserted', v_isolated.x_inserted, 'updated', v_isolated.x_updated,
        'rejects', v_isolated.x_rejects, 'children', v_isolated.x_children
    );
end;
$$;
comment on function sluice.write_records(sluice.job, sluice.step, boolean) is
'A range of record numbers into the target. Returns the counts and the records that could not be
 written: {"rows", "inserted", "updated", "rejects", "children"}; or that nothing was written:
 {"lost"}: the plan is gone, {"split"}: it needs smaller steps, {"again"}: another writer was
 faster, so that it is to be matched anew. p_yields: fails as a whole when
 another writer was faster (23505, 40002).';

create or replace function sluice.note_writes(
    p_job sluice.job, p_step sluice.step, p_done jsonb
)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_done ? 'lost' then
        perform sluice.cast_again(p_job.job_id);
        return 0;
    elsif p_done ? 'split' then
        perform sluice.split_step(p_job, p_step);
        return 0;
    elsif p_done ? 'again' then
        perform sluice.match_again(p_job, p_step);
        return 0;
    end if;
    perform sluice.reject_writes(p_job, p_done -> 'rejects');
    update sluice.step as s
    set
        state = 'done', rows = (p_done ->> 'rows')::bigint,
        inserted = (p_done ->> 'inserted')::bigint, updated = (p_done ->> 'updated')::bigint,
        rejected = jsonb_array_length(p_done -> 'rejects'), finished_at = clock_timestamp()
    where s.step_id = p_step.step_id;
    if p_done -> 'children' <> '{}' then
        update sluice.job as j
        set metrics = j.metrics || jsonb_build_object(
            'children', sluice.add_counts(coalesce(j.metrics -> 'children', '{}'), p_done -> 'children')
        )
        where j.job_id = p_job.job_id;
    end if;
    return (p_done ->> 'rows')::bigint;
end;
$$;
comment on function sluice.note_writes(sluice.job, sluice.step, jsonb) is
'Records what sluice.write_records did. Returns how many records the step is through with.';

create or replace function sluice.carry_out_plan(
    p_job sluice.job, p_step sluice.step, p_yields boolean
)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return sluice.note_writes(p_job, p_step, sluice.write_records(p_job, p_step, p_yields));
end;
$$;
comment on function sluice.carry_out_plan(sluice.job, sluice.step, boolean) is
'A range of record numbers into the target, with the record that it was done. p_yields as of
 sluice.write_records, for a caller who then matches again.';

create or replace function sluice.merge_step(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
begin
    return sluice.carry_out_plan(p_job, p_step, false);
end;
$$;
comment on function sluice.merge_step(sluice.job, sluice.step) is
'A step of the merge: a range of record numbers into the target, in one transaction with its own
 record.';

create or replace function sluice.split_step(p_job sluice.job, p_step sluice.step)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format($sql$
        insert into sluice.step (job_id, kind, lo, hi, rows, inserted, updated)
        select $3, 'merge', min(r._n), max(r._n) + 1, count(*),
            count(*) filter (where r._action = 'i'), count(*) filter (where r._action <> 'i')
        from (
            select t._n, t._action, (row_number() over (order by t._n) - 1) / greatest(500, $4 / 16) as part
            from (%s) as t
        ) as r
        group by r.part
        order by r.part
    $sql$, sluice.sql_todo(p_job.spec))
    using p_step.lo, p_step.hi, p_job.job_id, p_step.rows;
    delete from sluice.step as s where s.step_id = p_step.step_id;
end;
$$;
comment on function sluice.split_step(sluice.job, sluice.step) is
'Replaces a step that failed by up to sixteen smaller ones, not below 500 records.';
