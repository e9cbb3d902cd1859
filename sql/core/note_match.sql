-- What the match found becomes rejects, counts, and the steps of the merge.

create or replace function sluice.sql_groups(p_job sluice.job)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_stage constant text := p_job.spec ->> 'stage';
begin
    -- numbers without a gap need no look at the plan: what is not known to be otherwise is new
    if sluice.is_implied(p_job.spec) and p_job.received = pg_sequence_last_value(
        pg_get_serial_sequence(v_stage, '_n')::regclass
    ) and not exists (
        -- a plan that was lost is cut by what is there
        select from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'cast' and s.attempts > 0
    ) then
        return format($sql$
            select g.lo, g.hi, g.hi - g.lo + 1 - coalesce(k.others, 0) as rows,
                g.hi - g.lo + 1 - coalesce(k.known, 0) as inserts
            from (
                select i as lo, least(i + $3 - 1, %1$s) as hi
                from generate_series(1, %1$s, $3) as i
            ) as g
            left join (
                select (o._n - 1) / $3 as part, count(*) as known,
                    count(*) filter (where not o.updates) as others
                from (
                    select a._n, bool_and(a.updates) as updates
                    from (
                        select e._n, false as updates from %2$s as e
                        union all
                        select w._n, coalesce(w._action = 'u', false) from %3$s as w
                        where w._action is distinct from 'i'
                        %4$s
                    ) as a
                    group by a._n
                ) as o
                group by part
            ) as k on k.part = (g.lo - 1) / $3
            where g.hi - g.lo + 1 > coalesce(k.others, 0)
        $sql$, p_job.received::text || '::bigint', p_job.spec ->> 'extra', p_job.spec ->> 'work', case
            when to_regclass('pg_temp.pgsluice_rejects') is not null
                then 'union all select r._n, false from pg_temp.pgsluice_rejects as r'
        end);
    end if;
    return format($sql$
        select min(t._n) as lo, max(t._n) as hi, count(*) as rows,
            count(*) filter (where t._action = 'i') as inserts
        from (%s) as t
        group by (t._n - 1) / $3
    $sql$, sluice.sql_todo(p_job.spec));
end;
$$;
comment on function sluice.sql_groups(sluice.job) is
'SQL of what the merge has to do (rows, and inserts among them) in groups of up to $3 record numbers
 from lo to hi; $1, $2: record numbers from, to.';

create or replace function sluice.cut_merge(
    p_job sluice.job, out o_inserts bigint, out o_updates bigint
)
returns record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_whole constant boolean := (p_job.options ->> 'atomic')::boolean is true
        or p_job.options ->> 'dry_run' = 'write' or (p_job.spec ->> 'self')::boolean;
    v_batch constant bigint := case
        when v_whole then 9223372036854775807
        else sluice.setting('batch_rows', '50000')::bigint
    end;
begin
    -- of a plan that was lost in a crash
    delete from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'todo';
    -- ranges of record numbers, so that what is merged is known without the unlogged plan
    execute format($sql$
        with cut as (
            insert into sluice.step (job_id, kind, lo, hi, rows, inserted, updated)
            select $4, 'merge', min(r.lo), max(r.hi) + 1, sum(r.rows), sum(r.inserts),
                sum(r.rows - r.inserts)
            from (
                select g.*, ((sum(g.rows) over (order by g.lo))::bigint - 1) / $5 as part
                from (%s) as g
            ) as r
            group by r.part
            order by r.part
            returning inserted, updated
        )
        select coalesce(sum(c.inserted), 0), coalesce(sum(c.updated), 0) from cut as c
    $sql$, sluice.sql_groups(p_job))
    into o_inserts, o_updates
    using 0::bigint, 9223372036854775807, greatest(v_batch / 10, 1), p_job.job_id, v_batch;
end;
$$;
comment on function sluice.cut_merge(sluice.job) is
'Cuts the merge into steps of at most sluice.batch_rows records (50,000); atomic jobs and tables
 that refer to themselves are merged whole. Returns how many records are to be inserted, and how many
 to be updated, themselves or their children.';

create or replace function sluice.note_match(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rejected bigint;
    v_dropped bigint;
    v_inserts bigint;
    v_updates bigint;
    v_unknown text[];
begin
    v_rejected := sluice.keep_rejects(p_job) + (
        -- of steps that were done before a crash
        select coalesce(sum(s.rejected), 0) from sluice.step as s
        where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'done'
    );
    if p_job.spec ->> 'source' = 'json' and p_job.options ->> 'unknown_fields' = 'ignore' then
        execute format(
            'select array(select distinct u from %s as p cross join lateral unnest(p._unknown) as u'
            ' where p._unknown is not null order by u limit 100)', p_job.spec ->> 'plan'
        ) into v_unknown;
    end if;
    execute format('select count(distinct e._n) from %s as e where e._dropped', p_job.spec ->> 'extra')
    into v_dropped;
    if p_job.options ->> 'dry_run' = 'true' then
        select t.o_inserts, t.o_updates + t.o_lists into v_inserts, v_updates
        from sluice.count_todo(p_job.spec, 0, 9223372036854775807) as t;
    else
        select c.o_inserts, c.o_updates into v_inserts, v_updates from sluice.cut_merge(p_job) as c;
    end if;
    if to_regclass('pg_temp.pgsluice_rejects') is not null then
        drop table pg_temp.pgsluice_rejects;
    end if;

    update sluice.job as j
    set
        rejected = v_rejected,
        dropped = v_dropped,
        unchanged = j.received - v_rejected - v_dropped - v_inserts - v_updates - (
            select coalesce(sum(s.inserted + s.updated), 0) from sluice.step as s
            where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'done'
        ),
        ignored_fields = coalesce(v_unknown, j.ignored_fields),
        metrics = j.metrics || jsonb_build_object('to_insert', v_inserts, 'to_update', v_updates)
    where j.job_id = p_job.job_id;
    perform sluice.keep_results(p_job, 0, 9223372036854775807, '{=}');
    update sluice.step as s
    set state = 'done', rows = v_inserts + v_updates, finished_at = clock_timestamp()
    where s.step_id = p_step.step_id;
    return p_job.received;
end;
$$;
comment on function sluice.note_match(sluice.job, sluice.step) is
'Keeps what the match found: rejects, counts, the steps of the merge, its own record.';
