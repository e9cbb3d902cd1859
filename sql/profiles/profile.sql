-- The shapes of replies: the default one is sluice.job_json, those of earlier systems stand beside.

create or replace function sluice.check_profile(p_profile text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_profile is null or p_profile not in ('realworld', 'nest') then
        raise exception 'unknown profile %', coalesce(
            quote_literal(left(p_profile, 200)), 'null'
        ) using errcode = 'IO406', hint = 'profiles are realworld and nest';
    end if;
    return p_profile;
end;
$$;
comment on function sluice.check_profile(text) is 'The name of a profile; IO406 for another.';

create or replace function sluice.shaped(p_job sluice.job, p_profile text)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select case sluice.check_profile(p_profile)
    when 'realworld' then sluice.realworld_job(p_job)
    when 'nest' then sluice.nest_job(p_job)
end;
end;
comment on function sluice.shaped(sluice.job, text) is
'A job in the shape of a profile, without its errors. IO406 for an unknown profile.';

create or replace function sluice.job_shaped(
    job_id uuid, profile text, is_new boolean default false
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
begin
    if sluice.check_profile(profile) = 'realworld' and is_new then
        return jsonb_build_object('job_id', v_job.job_id, 'status', 'accepted');
    end if;
    return sluice.shaped(v_job, profile) || case
        when v_job.kind <> 'import' then '{}'::jsonb
        when profile = 'realworld' then jsonb_build_object('errors', sluice.realworld_errors(v_job))
        else jsonb_build_object('errors', sluice.nest_errors(v_job))
    end;
end;
$$;
comment on function sluice.job_shaped(uuid, text, boolean) is
'A job in the shape of a profile, with its first errors; is_new: as the reply to the request that
 made it. IO404 when there is no such job, IO406 for an unknown profile.';

create or replace function sluice.jobs_shaped(job_ids uuid[], profile text)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_agg(sluice.shaped(j, profile) order by i.place), '[]')
from unnest(job_ids) with ordinality as i (job_id, place)
inner join sluice.job as j on i.job_id = j.job_id
where sluice.may_use(j.resource);
end;
comment on function sluice.jobs_shaped(uuid[], text) is
'Jobs in the shape of a profile, without their errors, in this order. IO406: unknown profile.';
