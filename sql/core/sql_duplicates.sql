-- The generator of duplicates: records of one file with the same key.

create or replace function sluice.sql_key_hash(p_key jsonb)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parts constant text[] := sluice.sql_parts(p_key, 'p');
    v_hash text := '0';
begin
    for v_place in 1 .. cardinality(v_parts) loop
        -- the hash of one part is the seed of the next
        v_hash := (p_key -> 'parts' -> v_place - 1 ->> 'hash')
            || '(' || v_parts[v_place] || ', ' || v_hash || ')';
        if (p_key ->> 'nulls_not_distinct')::boolean then
            v_hash := format('coalesce(%s, 0)', v_hash);
        end if;
    end loop;
    return v_hash;
end;
$$;
comment on function sluice.sql_key_hash(jsonb) is
'SQL of the 64 bits into which a key of a record p of the plan is hashed, by the equality of its own
 index; null when a part has no hash.';

create or replace function sluice.sql_suspects(p_spec jsonb, p_key jsonb)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
-- a sort of integers takes half the time of a hash table of keys
select format($sql$with twins as materialized (
    select h.hash
    from (select %1$s as hash from %2$s as p where %3$s) as h
    group by h.hash
    having count(*) > 1
),
suspects as materialized (
    select p.* from %2$s as p where %3$s and %1$s in (select t.hash from twins as t)
)$sql$, sluice.sql_key_hash(p_key), p_spec ->> 'plan', sluice.sql_takes_part(p_spec, p_key))
where (p_spec ->> 'large')::boolean and sluice.sql_key_hash(p_key) is not null;
end;
comment on function sluice.sql_suspects(jsonb, jsonb) is
'SQL of the records whose key has the same hash as that of another, before their keys themselves are
 compared; null for a small file, and for a key without a hash.';

create or replace function sluice.sql_duplicates(p_spec jsonb, p_key jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- A record is a duplicate when an earlier (last: a later) record without errors of its
-- own has the same key, whether or not that one is itself a duplicate.
with parts as (
    select
        string_agg(u, ', ' order by place) as list,
        string_agg(format('%s as part_%s', u, place), ', ' order by place) as named,
        sluice.sql_same_key(
            p_key, sluice.sql_parts(p_key, 'p'), array_agg('k.part_' || place order by place)
        ) as equal
    from unnest(sluice.sql_parts(p_key, 'p')) with ordinality as u (u, place)
),
mode as (
    select
        coalesce(p_spec -> 'options' ->> 'on_duplicate', 'reject') as name,
        p_key -> 'named' ->> -1 as blame,
        sluice.sql_suspects(p_spec, p_key) as suspects
),
source as (
    select case when m.suspects is null then p_spec ->> 'plan' else 'suspects' end as name
    from mode as m
)
select concat_ws(e'\n',
    m.suspects,
    format('insert into %s (_n, _dropped, _error)', p_spec ->> 'extra'),
    'select p._n, ' || case
        when m.name = 'reject' then format(
            e'false, sluice.record_error(\n    ''duplicate'', %L, %L,'
            ' format(''record %%s has the same %s'', k.other), p.%I::text\n)',
            m.blame, p_key ->> 'name',
            (
                select replace(string_agg(c, ', '), '''', '''''')
                from jsonb_array_elements_text(p_key -> 'named') as c
            ),
            m.blame
        )
        else 'true, null' end,
    'from (',
    format('    select %s, %s(p._n) filter (where p._errors is null%s) as other', p.named,
        case when m.name = 'last' then 'max' else 'min' end,
        case when p_spec -> 'children' <> '[]'
            -- errors of a list are errors of its record
            then format(
                ' and not exists (select from %s as e where e._n = p._n)', p_spec ->> 'extra'
            )
            else '' end),
    format('    from %s as p', s.name),
    '    where ' || sluice.sql_takes_part(p_spec, p_key),
    '    group by ' || p.list,
    '    having count(*) > 1',
    ') as k',
    format(
        'inner join %s as p on %s and %s',
        s.name, p.equal, sluice.sql_takes_part(p_spec, p_key)
    ),
    'where p._n ' || case when m.name = 'last' then '<' else '>' end || ' k.other'
        -- a dropped record is dropped once, and one with errors is rejected instead
        || case when m.name = 'reject' then '' else ' and p._errors is null' end
)
from parts as p, mode as m, source as s;
end;
comment on function sluice.sql_duplicates(jsonb, jsonb) is
'The SQL that finds the records with the same key within the file.';
