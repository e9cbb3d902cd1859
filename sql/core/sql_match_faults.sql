-- The errors that show only against the target.

create or replace function sluice.sql_match_faults(p_spec jsonb)
returns table (condition text, error text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with keys as (
    select k as key, (k ->> 'place')::integer as place, (k ->> 'match')::integer as match,
        k -> 'named' ->> -1 as blame, k ->> 'name' as name,
        coalesce(p_spec -> 'options' ->> 'mode', 'upsert') as mode
    from jsonb_array_elements(p_spec -> 'keys') as k
    where (k ->> 'usable')::boolean
),
faults as (
    select 1 as part, k.place, format('p._via = %s', k.match) as condition, format(
        'sluice.record_error(''exists'', %L, %L,'
        ' ''a row with this %s exists already'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    ) as error
    from keys as k
    where k.mode = 'insert' and k.match is not null
    union all
    select 2, 0, 'p._via is null and p._errors is null', format(
        'sluice.record_error(''missing'', %L, %L, ''no row has this %s'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    )
    from (select k.* from keys as k where k.match is not null order by k.match limit 1) as k
    where k.mode = 'update'
    union all
    -- an identity that is always generated names rows, but makes none
    select 3, 0, format('p._via is null and p.%s is not null', f ->> 'ident'), format(
        'sluice.record_error(''missing'', %L, null,'
        ' ''no row has this %s; identity=keep would write it'', p.%s::text)',
        f ->> 'name', replace(f ->> 'name', '''', ''''''), f ->> 'ident'
    )
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean and f ->> 'identity' = 'a' and not (f ->> 'writable')::boolean
        and p_spec -> 'options' ->> 'mode' is distinct from 'update'
    union all
    -- keys that find two different rows
    select 4, k.place, format('p._conflict_%s', k.place), format(
        'sluice.record_error(''conflict'', %L, %L,'
        ' ''belongs to another row than the one that the record matches'', p.%I::text)',
        k.blame, k.name, k.blame
    )
    from keys as k
    where k.match is not null and k.match > (select min(o.match) from keys as o)
        and k.mode <> 'insert'
    union all
    select 5, k.place, format('p._conflict_%s', k.place), format(
        'sluice.record_error(''unique'', %L, %L, ''another row has this %s'', p.%I::text)',
        k.blame, k.name, replace(k.blame, '''', ''''''), k.blame
    )
    from keys as k
    where k.match is null
    union all
    -- a new row needs what has neither null nor default
    select 6, (f ->> 'attnum')::integer,
        'p._via is null and ' || case f ->> 'has'
            when 'false' then 'true'
            else format('not (%s)', f ->> 'has') end
        || format(
            ' and (p._errors is null'
            ' or not (p._errors @> ''[{"code": "malformed"}]'' or p._errors @> %L%s))',
            jsonb_build_array(jsonb_build_object('field', f ->> 'name')), (
                select string_agg(distinct format(' or p._errors @> %L',
                    jsonb_build_array(jsonb_build_object('field', c.name))), '')
                from keys as k
                cross join lateral jsonb_array_elements_text(k.key -> 'columns') as c (name)
                where k.match is not null
            )
        ),
        format(
            'sluice.record_error(''required'', %L, null, ''must be given for a new row'', null)',
            f ->> 'name'
        )
    from jsonb_array_elements(p_spec -> 'fields') as f
    where
        (f ->> 'not_null')::boolean and f ->> 'default' is null and not (f ->> 'generated')::boolean
        and p_spec -> 'options' ->> 'mode' is distinct from 'update'
        -- a CSV cell that is null was judged by the cast
        and (f ->> 'cell' is null)
    union all
    select 7, (c ->> 'place')::integer,
        format('p._errors is null and x._n is null and j.late_%s is false', c ->> 'place')
        || coalesce(format(' and not (%s)', nullif(c ->> 'has_all', '')), '')
        || coalesce(format(' and (p._via is null or %s)', nullif(c ->> 'has_any', '')), ''),
        format(
            'sluice.record_error(''check'', %L, %L, %L, null)', c ->> 'blame', c ->> 'name',
            coalesce(c ->> 'message', format('must satisfy %s', c ->> 'expr'))
        )
    from jsonb_array_elements(p_spec -> 'checks') as c
    where (c ->> 'judged')::boolean and (c ->> 'late')::boolean
    union all
    select 8, r.place::integer,
        format('p._errors is null and x._n is null and j.%I is false', 'rule_' || r.place),
        format(
            'sluice.record_error(''rule'', %L, %L, %L, %s)', r.rule ->> 'field', r.rule ->> 'code',
            r.rule ->> 'message', coalesce((
                select format('p.%s::text', f ->> 'ident')
                from jsonb_array_elements(p_spec -> 'fields') as f
                where f ->> 'name' = r.rule ->> 'field' and (f ->> 'given')::boolean
            ), 'null')
        )
    from jsonb_array_elements(p_spec -> 'rules') with ordinality as r (rule, place)
)
select f.condition, f.error
from faults as f
order by f.part, f.place;
end;
comment on function sluice.sql_match_faults(jsonb) is
'What may be wrong with a record against the target: SQL that is true when it is, and SQL of the
 error.';
