-- Webhooks as they are shown, and sent again.

create or replace function sluice.deliveries_json(job_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
begin
    return jsonb_build_object(
        'job_id', v_job.job_id,
        'callback_url', sluice.shown_url(v_job.callback_url),
        'deliveries', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'delivery_id', d.delivery_id,
                'url', sluice.shown_url(d.url),
                'state', d.state,
                'created_at', sluice.utc(d.created_at),
                'ended_at', sluice.utc(d.ended_at),
                'next_attempt_at', case
                    when d.state = 'pending' and d.taken_at is null then sluice.utc(d.not_before)
                end,
                'attempts', (
                    select coalesce(jsonb_agg(jsonb_build_object(
                        'attempt', a.attempt,
                        'at', sluice.utc(a.at),
                        'status', a.status,
                        'error', a.error,
                        'duration_ms', a.duration_ms
                    ) order by a.attempt), '[]')
                    from sluice.delivery_attempt as a
                    where a.delivery_id = d.delivery_id
                )
            ) order by d.created_at), '[]')
            from sluice.delivery as d
            where d.job_id = v_job.job_id
        )
    );
end;
$$;
comment on function sluice.deliveries_json(uuid) is
'The webhook of a job and each attempt to deliver it: when, the status of the reply or why there
 was none. IO404 when there is no such job.';

create or replace function sluice.redeliver(job_id uuid)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
begin
    if v_job.callback_url is null then
        raise exception 'job % has no callback_url', v_job.job_id using
            errcode = 'IO409', hint = 'give one with the next import or export';
    elsif v_job.completed_at is null then
        raise exception 'job % has not ended yet', v_job.job_id using
            errcode = 'IO409', hint = 'its webhook is sent when it has';
    end if;
    update sluice.delivery as d
    set
        state = 'pending',
        forgiven = d.attempts,
        not_before = clock_timestamp(),
        ended_at = null
    -- one that a worker is sending this moment is let be
    where d.job_id = v_job.job_id and d.taken_at is null;
    perform sluice.announce('webhook');
    return sluice.deliveries_json(v_job.job_id);
end;
$$;
comment on function sluice.redeliver(uuid) is
'Delivers the webhook of an ended job again, at once, under the same id, with ten attempts more.
 Returns its deliveries. IO404 no such job, IO409 it has not ended, or has no callback_url.';

create or replace view sluice.deliveries as
select
    d.delivery_id,
    d.job_id,
    sluice.shown_url(d.url) as url,
    d.state,
    d.attempts,
    l.at as last_at,
    l.status as last_status,
    l.error as last_error,
    case when d.state = 'pending' and d.taken_at is null then d.not_before end as next_at,
    d.worker,
    d.created_at,
    d.ended_at
from sluice.delivery as d
left join lateral (
    select a.at, a.status, a.error
    from sluice.delivery_attempt as a
    where a.delivery_id = d.delivery_id
    order by a.attempt desc
    limit 1
) as l on true;
comment on view sluice.deliveries is
'Webhooks and how their last attempt ended:
 select * from sluice.deliveries where state <> ''delivered'' order by created_at desc;';
