-- Lists of jobs: pages for the API, a view for whoever operates them.

create or replace function sluice.new_cursor(p_filter text, p_key text[])
returns text
language sql immutable
return translate(
    encode(convert_to(to_jsonb(left(p_filter, 8) || p_key)::text, 'UTF8'), 'base64'), e'+/=\n', '-_'
);
comment on function sluice.new_cursor(text, text[]) is
'A place in a list as an opaque text; p_filter: digest of what was asked for.';

create or replace function sluice.read_cursor(p_cursor text, p_filter text, p_types text[])
returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_text text;
    v_parts text[];
begin
    if p_cursor is null then
        return null;
    end if;
    begin
        v_text := convert_from(decode(
            rpad(translate(p_cursor, '-_', '+/'), (length(p_cursor) + 3) / 4 * 4, '='), 'base64'
        ), 'UTF8');
        v_parts := array(select jsonb_array_elements_text(v_text::jsonb));
    exception when others then
        v_parts := null;
    end;
    if v_parts is null or v_parts[1] is distinct from left(p_filter, 8)
        or cardinality(v_parts) <> cardinality(p_types) + 1
        or exists (
            select from unnest(v_parts[2:], p_types) as p (part, type)
            where p.part is null or not pg_input_is_valid(p.part, p.type || '')
        ) then
        raise exception 'the cursor is not one that this list gave' using
            errcode = 'IO400', hint = 'take it from next, and keep the other parameters as they were';
    end if;
    return v_parts[2:];
end;
$$;
comment on function sluice.read_cursor(text, text, text[]) is
'The key that a cursor holds; null without one. IO400 when it is not from this very list.';

create or replace function sluice.jobs_json(
    kind text default null,
    status text default null,
    resource text default null,
    "limit" bigint default 50,
    cursor text default null,
    search text default null
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
-- a plan for any filter would find the jobs of a rare one by reading them all
set plan_cache_mode = force_custom_plan
as $$
declare
    v_filter constant text := md5(concat_ws(
        '|', quote_nullable(kind), quote_nullable(status), quote_nullable(resource), search
    ));
    v_id constant uuid := case when pg_input_is_valid(search, 'uuid') then search::uuid end;
    v_after constant text[] := sluice.read_cursor(cursor, v_filter, '{timestamptz,uuid}');
    v_limit constant bigint := coalesce("limit", 50);
    v_page jsonb;
    v_next text;
begin
    if kind not in ('import', 'export') then
        raise exception 'unknown kind of job %', quote_literal(left(kind, 200)) using
            errcode = 'IO400', hint = 'kinds are import and export';
    elsif status not in ('pending', 'processing', 'completed', 'failed', 'cancelled') then
        raise exception 'unknown status %', quote_literal(left(status, 200)) using
            errcode = 'IO400', hint = 'a job is pending, processing, completed, failed or cancelled';
    elsif v_limit not between 1 and 1000 then
        raise exception 'limit must be from 1 to 1000' using errcode = 'IO400';
    end if;
    with found as (
        select j
        from sluice.job as j
        where
            j.state <> 'receiving'
            and sluice.may_use(j.resource)
            and (jobs_json.kind is null or j.kind = jobs_json.kind)
            and (jobs_json.status is null or j.state = jobs_json.status)
            and (jobs_json.resource is null or j.resource = jobs_json.resource)
            and (v_id is null or j.job_id = v_id)
            and (
                v_id is not null
                or search is null
                or position(lower(search) in lower(
                    concat_ws(' ', j.job_id, j.file_name, j.resource, j.schedule)
                )) > 0
            )
            and (
                v_after is null
                or (j.created_at, j.job_id) < (v_after[1]::timestamptz, v_after[2]::uuid)
            )
        order by j.created_at desc, j.job_id desc
        limit v_limit + 1
    ),
    page as (
        select f.j, row_number() over (order by (f.j).created_at desc, (f.j).job_id desc) as k
        from found as f
    )
    select
        coalesce(jsonb_agg(sluice.job_object(p.j) order by p.k) filter (where p.k <= v_limit), '[]'),
        (
            select sluice.new_cursor(v_filter, array[(l.j).created_at::text, (l.j).job_id::text])
            from page as l
            where l.k = v_limit and exists (select from page as m where m.k > v_limit)
        )
    into v_page, v_next
    from page as p;
    return jsonb_build_object('jobs', v_page, 'next', v_next);
end;
$$;
comment on function sluice.jobs_json(text, text, text, bigint, text, text) is
'A page of jobs, the newest first: {"jobs": […], "next": cursor or null}; without their errors, and
 without uploads under way. search: part of an id, or of the name of a file, resource or schedule.
 IO400 an unknown kind or status, a bad cursor or limit (1 to 1000).';

create or replace view sluice.jobs as
select
    j.job_id,
    j.kind,
    j.resource,
    j.state,
    j.phase,
    j.outcome,
    sluice.job_percent(j) as percent,
    j.received,
    j.inserted,
    j.updated,
    j.unchanged,
    j.rejected,
    j.dropped,
    j.unprocessed,
    j.file_name,
    j.created_at,
    j.started_at,
    j.completed_at,
    -- stable, unlike clock_timestamp: a view of what is volatile is made whole before its limit
    coalesce(j.completed_at, statement_timestamp()) - j.started_at as duration,
    j.error ->> 'detail' as error,
    j.priority,
    coalesce(j.worker, s.workers) as worker,
    greatest(j.attempts, s.tries) as attempts,
    greatest(j.heartbeat_at, s.claimed_at) as heartbeat,
    coalesce(j.phase || ' ' || s.done || '/' || s.steps, j.phase) as step,
    least(j.not_before, s.not_before) as next_try,
    j.parent_job_id,
    j.exported,
    j.options ->> 'dry_run' as dry_run
from sluice.job as j
left join lateral (
    select
        string_agg(distinct t.worker, ', ') filter (
            where t.state = 'todo' and t.claimed_at is not null
        ) as workers,
        max(t.tries) filter (where t.state = 'todo') as tries,
        max(t.claimed_at) as claimed_at,
        count(*) filter (where t.state = 'done') as done,
        count(*) as steps,
        min(t.not_before) filter (
            where t.state = 'todo' and t.not_before > clock_timestamp()
        ) as not_before
    from sluice.step as t
    where j.state = 'processing' and t.job_id = j.job_id and t.kind = j.phase
    having count(*) > 0
) as s on true;
comment on view sluice.jobs is
'All jobs, uploads under way (receiving) too, for whoever operates them; while they run with who is
 at it (worker), how often the present step was begun (attempts), its last sign of life (heartbeat),
 how many steps of its phase are done (step) and when one that failed is tried again (next_try);
 dry_run: true or write where nothing is kept:
 select * from sluice.jobs order by created_at desc limit 20;';
