-- Attempts to deliver webhooks: taken by one worker, told by it how they ended.

create or replace function sluice.take_delivery()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lease constant interval := '30 seconds';
    v_now constant timestamptz := clock_timestamp();
    v_due sluice.delivery;
begin
    loop
        select d.* into v_due
        from sluice.delivery as d
        where d.state = 'pending' and d.not_before <= v_now
            and (d.taken_at is null or d.taken_at < v_now - v_lease)
        order by d.not_before
        limit 1
        for update of d skip locked;
        if not found then
            return jsonb_build_object('seconds', (
                select extract(epoch from
                    min(greatest(d.not_before, d.taken_at + v_lease)) - v_now
                )
                from sluice.delivery as d
                where d.state = 'pending'
            ));
        end if;
        if v_due.taken_at is not null then
            insert into sluice.delivery_attempt (delivery_id, attempt, at, error)
            values (
                v_due.delivery_id, v_due.attempts, v_due.taken_at,
                format('the worker %s was lost before it told of a reply', v_due.worker)
            )
            on conflict do nothing;
        end if;
        exit when v_due.taken_at is null
            or sluice.webhook_pause(v_due.attempts - v_due.forgiven) is not null;
        perform sluice.end_delivery(v_due.delivery_id, 'failed');
    end loop;
    update sluice.delivery as d
    set
        attempts = d.attempts + 1,
        worker = sluice.setting('worker', 'unnamed'),
        taken_at = v_now
    where d.delivery_id = v_due.delivery_id;
    return jsonb_build_object(
        'delivery_id', v_due.delivery_id,
        'job_id', v_due.job_id,
        'attempt', v_due.attempts + 1,
        'url', v_due.url,
        'secret', sluice.webhook_secret(),
        'body', sluice.delivery_body(v_due.job_id)
    );
end;
$$;
comment on function sluice.take_delivery() is
'Takes a webhook that is due, or whose taker has not told of a reply for 30 s: delivery_id, job_id,
 attempt (the token), url, secret, body. Without one: {"seconds": until the next, or null}.
 A receiver may get one twice: the delivery_id tells.';

create or replace function sluice.end_delivery(p_delivery_id uuid, p_state text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
update sluice.delivery as d
set state = p_state, worker = null, taken_at = null, ended_at = clock_timestamp()
where d.delivery_id = p_delivery_id;
end;
comment on function sluice.end_delivery(uuid, text) is 'Ends a webhook: delivered or failed.';

create or replace function sluice.delivery_done(
    delivery_id uuid,
    attempt integer,
    status integer default null,
    error text default null,
    duration_ms integer default null,
    retry_after double precision default null
)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_delivery sluice.delivery;
    v_pause interval;
begin
    select d.* into v_delivery from sluice.delivery as d
    where d.delivery_id = delivery_done.delivery_id
    for update;
    if not found then
        return 'gone';
    end if;
    if status is null and error is null then
        update sluice.delivery as d
        set attempts = d.attempts - 1, worker = null, taken_at = null
        where d.delivery_id = v_delivery.delivery_id and d.attempts = attempt
            and d.taken_at is not null;
        perform sluice.announce('webhook');
        return 'pending';
    end if;
    insert into sluice.delivery_attempt as a (delivery_id, attempt, status, error, duration_ms)
    values (
        v_delivery.delivery_id, attempt, status, left(error, 500), delivery_done.duration_ms
    )
    on conflict on constraint delivery_attempt_pkey do update
    set at = excluded.at, status = excluded.status, error = excluded.error,
        duration_ms = excluded.duration_ms;
    if status between 200 and 299 then
        -- even if another has taken it since: it has arrived
        perform sluice.end_delivery(v_delivery.delivery_id, 'delivered');
        return 'delivered';
    elsif v_delivery.attempts <> attempt or v_delivery.taken_at is null then
        return v_delivery.state;
    end if;
    v_pause := sluice.webhook_pause(attempt - v_delivery.forgiven);
    if status is not distinct from 410 or v_pause is null then
        perform sluice.end_delivery(v_delivery.delivery_id, 'failed');
        return 'failed';
    end if;
    update sluice.delivery as d
    set
        worker = null,
        taken_at = null,
        not_before = clock_timestamp() + greatest(
            v_pause, make_interval(secs => least(coalesce(retry_after, 0), 86400))
        )
    where d.delivery_id = v_delivery.delivery_id;
    return 'pending';
end;
$$;
comment on function sluice.delivery_done(
    uuid, integer, integer, text, integer, double precision
) is
'Tells how an attempt ended: the status of the reply, or why there was none; retry_after: seconds
 that the reply asked for. Without status and error the attempt is given back, to be made at once.
 2xx: delivered. 410: failed, nobody wants it. Anything else, redirects too: tried again, ten times
 within some three days. Returns the state of the delivery, gone if its job was deleted.';
