-- When a schedule is due: cron expressions as crontab(5) has them, in a time zone.

create or replace function sluice.cron_numbers(
    p_text text, p_label text, p_low integer, p_high integer, p_names text[] default '{}'
)
returns integer[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wrong text;
    v_numbers integer[];
begin
    with items as (
        select
            i.item, m.part is not null as is_read, m.part[1] is not null as is_all,
            coalesce(array_position(p_names, m.part[2]) - 1 + p_low, n.low) as low,
            coalesce(array_position(p_names, m.part[3]) - 1 + p_low, n.high) as high,
            m.part[4]::integer as step
        from regexp_split_to_table(lower(p_text), ',') as i (item)
        left join lateral regexp_match(
            i.item,
            '^(?:(\*)|([a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?)(?:/(\d{1,2}))?$'
        ) as m (part) on true
        cross join lateral (
            select
                case when m.part[2] ~ '^\d' then m.part[2]::integer end as low,
                case when m.part[3] ~ '^\d' then m.part[3]::integer end as high
        ) as n
    ),
    spans as (
        select
            i.item, i.is_read, i.step,
            case when i.is_all then p_low else i.low end as low,
            case
                -- fri-sun: here Sunday is the seventh day
                when i.high = 0 and i.low > 0 and p_label = 'day of week' then 7
                when i.high is not null then i.high
                -- 5/10 is 5-59/10
                when i.is_all or i.step is not null then p_high
                else i.low
            end as high
        from items as i
    ),
    known as (
        select
            s.item, s.low, s.high, s.step,
            s.is_read and s.low >= p_low and s.low <= s.high and s.step is distinct from 0
            -- Sunday is 0 and 7
            and s.high <= p_high + (p_label = 'day of week')::integer as is_right
        from spans as s
    )
    select
        min(k.item) filter (where k.is_right is not true),
        array_agg(distinct case when p_label = 'day of week' then v.n % 7 else v.n end)
    into v_wrong, v_numbers
    from known as k
    left join lateral generate_series(k.low, k.high, greatest(k.step, 1)) as v (n) on k.is_right;
    if v_wrong is not null then
        raise exception
            '% of a cron expression cannot be %', p_label, quote_literal(left(v_wrong, 100))
            using errcode = 'IO400', hint = format(
                'it takes %s to %s%s, as * or 5 or 1,15 or 9-17 or */10, from low to high',
                p_low, p_high, case
                    when p_label = 'day of week' then ' (sun to sat; 7 is Sunday too)'
                    when p_label = 'month' then ' (jan to dec)'
                    else ''
                end
            );
    end if;
    return v_numbers;
end;
$$;
comment on function sluice.cron_numbers(text, text, integer, integer, text[]) is
'The numbers that one field of a cron expression stands for. IO400 names the part that is wrong.';

create or replace function sluice.cron_fields(p_cron text)
returns text[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cron constant text := lower(btrim(p_cron, e' \t\r\n'));
    v_fields constant text[] := regexp_split_to_array(case v_cron
        when '@hourly' then '0 * * * *'
        when '@daily' then '0 0 * * *'
        when '@midnight' then '0 0 * * *'
        when '@weekly' then '0 0 * * 0'
        when '@monthly' then '0 0 1 * *'
        when '@yearly' then '0 0 1 1 *'
        when '@annually' then '0 0 1 1 *'
        else v_cron
    end, '\s+');
begin
    if cardinality(v_fields) = 5 then
        return v_fields;
    end if;
    raise exception
        'a cron expression cannot be %', coalesce(quote_literal(left(p_cron, 200)), 'null')
        using errcode = 'IO400', hint = 'give minute, hour, day of month, month and day of week, as in '
            '"30 4 * * mon-fri"; or @hourly, @daily, @weekly, @monthly, @yearly; or "20 seconds"';
end;
$$;
comment on function sluice.cron_fields(text) is
'The five fields of a cron expression. IO400 when it has not five and is no @name.';

create or replace function sluice.wall_shift(p_time timestamptz, p_zone text)
returns interval
language sql stable
return (p_time at time zone p_zone) - (p_time at time zone 'UTC');
comment on function sluice.wall_shift(timestamptz, text) is
'How far the clocks of a time zone are ahead of UTC at a moment.';

create or replace function sluice.first_instant(p_wall timestamp, p_zone text)
returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- Postgres would take the second of two equal wall times. Clocks change at most once in two days.
select coalesce(
    min(m.at) filter (where m.at at time zone p_zone = p_wall),
    -- in a gap: look for its end, by the minute
    (
        select min(g.at)
        from generate_series(min(m.at), max(m.at), interval '1 minute') as g (at)
        where g.at at time zone p_zone > p_wall
    )
)
from (values (interval '-1 day'), (interval '1 day')) as d (away)
cross join lateral (
    select (
        p_wall - sluice.wall_shift(p_wall at time zone 'UTC' + d.away, p_zone)
    ) at time zone 'UTC' as at
) as m;
end;
comment on function sluice.first_instant(timestamp, text) is
'The moment when the clocks of a time zone first show this time, or, where they skip it, the first
 moment after.';

create or replace function sluice.cron_days(p_fields text[], p_from date)
returns date[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_days constant integer[] := sluice.cron_numbers(p_fields[3], 'day of month', 1, 31);
    v_months constant integer[] := sluice.cron_numbers(
        p_fields[4], 'month', 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'
    );
    v_weekdays constant integer[] := sluice.cron_numbers(
        p_fields[5], 'day of week', 0, 6, '{sun,mon,tue,wed,thu,fri,sat}'
    );
    -- Vixie's rule: two restricted fields are alternatives; one that begins with * restricts
    v_either constant boolean := p_fields[3] !~ '^\*' and p_fields[5] !~ '^\*';
    v_found date[] := '{}';
    v_start date := p_from;
    v_end date := p_from + 40;
begin
    -- most expressions have days soon: eight years are looked through only for those that have not
    loop
        select v_found || array(
            select d.day
            from generate_series(v_start::timestamp, v_end::timestamp, interval '1 day') as g (at)
            cross join lateral (
                select
                    g.at::date as day,
                    date_part('day', g.at)::integer = any(v_days) as by_day,
                    date_part('dow', g.at)::integer = any(v_weekdays) as by_weekday
            ) as d
            where date_part('month', g.at)::integer = any(v_months) and case
                when v_either then d.by_day or d.by_weekday
                else d.by_day and d.by_weekday
            end
            order by g.at
            limit 4
        ) into v_found;
        exit when cardinality(v_found) >= 4 or v_end > p_from + 1000;
        v_start := v_end + 1;
        v_end := case when v_start > p_from + 41 then (p_from + interval '8 years 2 days')::date
            else v_start + 400 end;
    end loop;
    return v_found;
end;
$$;
comment on function sluice.cron_days(text[], date) is
'The next four days or more on which a cron expression has ticks, as far as 8 years have them.';

create or replace function sluice.cron_next(cron text, time_zone text, after timestamptz)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_after constant timestamptz := coalesce(after, clock_timestamp());
    v_every constant text[] := regexp_match(cron, '^\s*(\d{1,5})\s+seconds?\s*$', 'i');
    v_fields text[];
    v_minutes integer[];
    v_hours integer[];
    v_wall timestamp;
    v_days date[];
    v_next timestamptz;
begin
    if v_every is not null then
        if v_every[1]::integer not between 1 and 86400 then
            raise exception 'an interval cannot be % seconds', v_every[1] using
                errcode = 'IO400', hint = 'it takes 1 to 86400 seconds';
        end if;
        return to_timestamp(
            (floor(extract(epoch from v_after) / v_every[1]::integer) + 1) * v_every[1]::integer
        );
    end if;
    v_fields := sluice.cron_fields(cron);
    v_minutes := sluice.cron_numbers(v_fields[1], 'minute', 0, 59);
    v_hours := sluice.cron_numbers(v_fields[2], 'hour', 0, 23);
    begin
        v_wall := v_after at time zone time_zone;
    exception when invalid_parameter_value then
        v_wall := null;
    end;
    if v_wall is null then
        raise exception 'there is no time zone %', quote_nullable(left(time_zone, 100)) using
            errcode = 'IO400', hint = 'select name from pg_timezone_names shows all';
    end if;
    -- the clocks may have gone back: the day before may come again
    v_days := sluice.cron_days(v_fields, v_wall::date - 1);
    if v_fields[2] like '*%' then
        -- real time: every minute at which the clocks show what is asked for
        select min(t.at) into v_next
        from unnest(v_days) as d (day)
        cross join lateral (
            select date_bin('1 minute', greatest(
                v_after + interval '1 minute', sluice.first_instant(d.day, time_zone)
            ), 'epoch') as at
        ) as f
        cross join lateral (
            select g.at
            from generate_series(
                f.at, sluice.first_instant(d.day, time_zone) + interval '26 hours', '1 minute'
            ) as g (at)
            cross join lateral (select g.at at time zone time_zone as wall) as w
            where
                w.wall::date = d.day
                and date_part('minute', w.wall)::integer = any(v_minutes)
                and date_part('hour', w.wall)::integer = any(v_hours)
            limit 1
        ) as t;
    else
        select i.at into v_next
        from (
            select d.day + make_interval(hours => h.hour, mins => m.minute) as wall
            from unnest(v_days) as d (day)
            cross join unnest(v_hours) as h (hour)
            cross join unnest(v_minutes) as m (minute)
            where d.day + make_interval(hours => h.hour, mins => m.minute) > v_wall
            order by wall
            offset 0
        ) as w
        cross join lateral (select sluice.first_instant(w.wall, time_zone) as at) as i
        where i.at > v_after
        order by w.wall
        limit 1;
    end if;
    if v_next is null or v_next > v_after + interval '8 years' then
        raise exception '% has no tick within 8 years', quote_literal(left(cron, 200)) using
            errcode = 'IO400', hint = 'does the month have that day?';
    end if;
    return v_next;
end;
$$;
comment on function sluice.cron_next(text, text, timestamptz) is
'The first tick of a cron expression after a moment (null: now).
   select sluice.cron_next(''30 4 * * mon-fri'', ''Europe/Berlin'', now());
 Five fields, as crontab(5) has them: lists, ranges, steps, names; 7 is Sunday too. Day of month and
 day of week are alternatives when both are restricted (do not begin with *). @hourly, @daily,
 @weekly, @monthly, @yearly. "20 seconds" (1 to 86400): each multiple of 20 seconds since 1970.
 When clocks change: with fixed hours, a time that is skipped ticks at the first moment after the
 gap, one that comes twice ticks once, at the first. Hours that begin with * follow real time: every
 minute at which the clocks show what is asked for, twice where they show it twice.
 IO400 for what is no cron expression or time zone, or has no tick within 8 years.';
