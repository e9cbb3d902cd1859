-- Work that a process outside carries out (exports, fetches): taken for a while, under a token.

create or replace function sluice.setting(p_name text, p_default text)
returns text
language sql stable
return coalesce(nullif(current_setting('sluice.' || p_name, true), ''), p_default);
comment on function sluice.setting(text, text) is
'A setting of the service (SLUICE_…), as its sessions carry it: sluice.<name>; else the default.';

create or replace function sluice.announce(p_news text)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select pg_notify('sluice', p_news);
end;
comment on function sluice.announce(text) is
'Tells all who listen on channel sluice, at commit: "job <id>" moved or ended, "work": there is
 something to take, "schedule": the times of schedules changed, "webhook": one is to be delivered.';

create or replace function sluice.take_lease(p_phase text, p_kind text)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    loop
        select j.* into v_job
        from sluice.job as j
        where
            j.state in ('pending', 'processing') and j.kind = p_kind
            and j.phase is not distinct from p_phase
            -- a file is fetched by the service, and imported by the login of its key
            and (p_phase is not null or sluice.serves(j.key_id))
            -- what the index of leases holds: it is not scanned past imports that wait
            and (j.kind = 'export' or j.phase = 'fetch')
            and (j.not_before is null or j.not_before <= clock_timestamp())
            -- whoever took it and has given no sign for so long is dead
            and (j.worker is null or j.heartbeat_at < clock_timestamp() - interval '20 seconds')
        order by j.accepted
        limit 1
        for update of j skip locked;
        if not found then
            return null;
        end if;
        exit when v_job.attempts < 5;
        perform sluice.fail_job(v_job.job_id, 'It was given up', format(
            'the %s was begun %s times and never came to its end%s',
            coalesce(p_phase, p_kind), v_job.attempts,
            coalesce(': ' || (v_job.metrics ->> 'last_error'), '; the logs of the workers may say why')
        ));
    end loop;
    update sluice.job as j
    set
        worker = sluice.setting('worker', 'unnamed'),
        attempts = j.attempts + 1,
        heartbeat_at = clock_timestamp(),
        not_before = null,
        state = case when p_phase is null then 'processing' else j.state end,
        started_at = case when p_phase is null then coalesce(j.started_at, clock_timestamp()) end
    where j.job_id = v_job.job_id
    returning j.* into v_job;
    perform sluice.announce('job ' || v_job.job_id);
    return v_job;
end;
$$;
comment on function sluice.take_lease(text, text) is
'Takes the oldest job that waits to be fetched (phase fetch) or exported (kind export, no phase), or
 whose taker has died: no heartbeat for 20 s. Its attempts is the token of the lease. One that was
 taken five times in vain fails. Null when there is none.';

create or replace function sluice.leased_job(p_job_id uuid, p_attempt integer)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    select j.* into v_job from sluice.job as j
    where j.job_id = p_job_id and j.attempts = p_attempt and j.worker is not null
        and j.state in ('pending', 'processing')
    for no key update;
    return v_job;
end;
$$;
comment on function sluice.leased_job(uuid, integer) is
'The job on which an attempt has its lease, locked; null when it is lost.';

create or replace function sluice.beat_job(job_id uuid, attempt integer)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update sluice.job as j
    set heartbeat_at = clock_timestamp()
    where j.job_id = beat_job.job_id and j.attempts = attempt and j.worker is not null
        and j.state in ('pending', 'processing');
    return found;
end;
$$;
comment on function sluice.beat_job(uuid, integer) is
'Keeps the lease of a fetch or export, every 5 s; false when it is lost (cancelled, or given to
 another): then stop, and leave nothing.';

create or replace function sluice.release_job(
    job_id uuid, attempt integer, seconds double precision default 0, error text default null
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update sluice.job as j
    set
        worker = null,
        -- a worker that was told to stop has not failed
        attempts = case when release_job.error is null then j.attempts - 1 else j.attempts end,
        not_before = clock_timestamp() + make_interval(secs => seconds),
        metrics = case
            when release_job.error is null then j.metrics
            else j.metrics || jsonb_build_object('last_error', release_job.error)
        end
    where j.job_id = release_job.job_id and j.attempts = attempt and j.worker is not null
        and j.state in ('pending', 'processing');
    if found then
        perform sluice.announce('work');
    end if;
end;
$$;
comment on function sluice.release_job(uuid, integer, double precision, text) is
'Gives a leased job back, to be taken again after so many seconds; error: why, if it failed.';

create or replace function sluice.end_job(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    update sluice.job as j
    set
        worker = null,
        phase = null,
        expires_at = j.completed_at
            + make_interval(secs => sluice.setting('job_ttl', '2592000')::double precision)
    where j.job_id = p_job_id
    returning j.* into v_job;
    perform sluice.count_job(v_job);
    if v_job.callback_url is not null then
        insert into sluice.delivery (delivery_id, job_id, url)
        values (sluice.uuid_v7(), p_job_id, v_job.callback_url);
        perform sluice.announce('webhook');
    end if;
    perform sluice.announce('job ' || p_job_id);
end;
$$;
comment on function sluice.end_job(uuid) is
'What comes after every end of a job, in its own transaction: its expiry (sluice.job_ttl seconds,
 30 days), its webhook, the news.';
