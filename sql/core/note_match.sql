-- What the match found becomes rejects, counts, and the steps of the merge.

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
begin
    -- of a plan that was lost in a crash
    delete from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'merge' and s.state = 'todo';
    -- ranges of record numbers, so that what is merged is known without the unlogged plan
    execute format($sql$
        with cut as (
            insert into sluice.step (job_id, kind, lo, hi, rows, inserted, updated)
            select $3, 'merge', min(r.lo), max(r.hi) + 1, sum(r.rows), sum(r.inserts),
                sum(r.rows - r.inserts)
            from (
                select g.*, ((sum(g.rows) over (order by g.lo))::bigint - 1) / $4 as part
                from (
                    select min(t._n) as lo, max(t._n) as hi, count(*) as rows,
                        count(*) filter (where t._action = 'i') as inserts
                    from (%s) as t
                    group by (t._n - 1) / greatest($4 / 10, 1)
                ) as g
            ) as r
            group by r.part
            order by r.part
            returning inserted, updated
        )
        select coalesce(sum(c.inserted), 0), coalesce(sum(c.updated), 0) from cut as c
    $sql$, sluice.sql_todo(p_job.spec))
    into o_inserts, o_updates
    using 0::bigint, 9223372036854775807, p_job.job_id, case
        when v_whole then 9223372036854775807
        else sluice.setting('batch_rows', '50000')::bigint
    end;
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
