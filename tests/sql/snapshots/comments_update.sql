-- create_plan
create unlogged table sluice_stage.p_job (
    _n bigint not null,
    id uuid,
    body text,
    _errors jsonb
) with (autovacuum_enabled = false);

-- create_work
create unlogged table sluice_stage.w_job (_n bigint not null, _via integer, _action "char", _errors jsonb, id uuid) with (autovacuum_enabled = false);

-- create_extra
create unlogged table sluice_stage.e_job (_n bigint not null, _dropped boolean not null, _error jsonb) with (autovacuum_enabled = false);

-- cast
insert into sluice_stage.p_job (
    _n, id, body, _errors
)
select p._n, p.id, p.body,
    case
        when p._fault is not null then jsonb_build_array(p._fault)
        when (
            false
        or p._cell_1 is not null and p.id is null
        or p.body is null and p._cell_4 is null
        or j.check_1 is false and p.body is not null
        or j.check_2 is false and p.body is not null
        ) is not true then null
        else sluice.present(array[
            case when p._cell_1 is not null and p.id is null
            then sluice.type_error('id', p._cell_1, 'uuid', NULL) end,
            case when p.body is null and p._cell_4 is null
            then sluice.record_error('required', 'body', null, 'must be given', null) end,
            case when j.check_1 is false and p.body is not null
            then sluice.record_error('check', 'body', 'comments_body_length', 'must have 1 to 10,000 characters', p.body::text) end,
            case when j.check_2 is false and p.body is not null
            then sluice.record_error('check', 'body', 'comments_body_words', 'must have at most 500 words', p.body::text) end
        ])
    end as _errors
from (
    -- values: null where the type refuses the text
    select s._n, s._fault,
        case when pg_input_is_valid(s._cell_1, 'uuid') then s._cell_1::uuid end as id,
        s._cell_1,
        s._cell_4 as body,
        s._cell_4
    from (
        select s._n,
            case when s._malformed is not null then sluice.record_error(
                'malformed', null, null, s._problem, s._malformed
            ) end as _fault,
            s.id as _cell_1,
            s.body as _cell_4
        from sluice_stage.s_job as s
        where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4
            and ($5 is null or s._n = any($5))
        offset 0
    ) as s
    offset 0
) as p
cross join lateral (
    select
        ((length(body) >= 1) AND (length(body) <= 10000)) as check_1,
        (app.word_count_v1(body) <= 500) as check_2
    from (select p.id, p.body) as comments
) as j;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'id', 'comments_pkey', format('record %s has the same id', k.other), p.id::text
)
from (
    select p.id as part_1, min(p._n) filter (where p._errors is null) as other
    from sluice_stage.p_job as p
    where p.id is not null
    group by p.id
    having count(*) > 1
) as k
inner join sluice_stage.p_job as p on p.id operator(pg_catalog.=) k.part_1 and p.id is not null
where p._n > k.other;

-- match
select r._n, r._via, r._action, r._errors,
    case when r._action = 'i' then coalesce(r._new_1, gen_random_uuid()) else r._to_1 end as id
from (
    select r._n, r._via, r._errors, r._to_1, r._new_1,
        case
            when r._bad or r._errors is not null then null
            when r._via is null then 'i'
            when r._changed then 'u'
            else '='
        end::"char" as _action
    from (
    select p._n, p._via, p._to_1, p.id as _new_1,
        p._errors is not null or x._n is not null as _bad,
        row(p.body)::record *<> row(p._t_4)::record as _changed,
        case when (
            false
            or p._via is null and true and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "article_id"}]' or p._errors @> '[{"field": "id"}]'))
            or p._via is null and true and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "user_id"}]' or p._errors @> '[{"field": "id"}]'))
        ) is not true then null
        else sluice.present(array[
                case when p._via is null and true and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "article_id"}]' or p._errors @> '[{"field": "id"}]'))
                then sluice.record_error('required', 'article_id', null, 'must be given for a new row', null) end,
                case when p._via is null and true and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "user_id"}]' or p._errors @> '[{"field": "id"}]'))
                then sluice.record_error('required', 'user_id', null, 'must be given for a new row', null) end
        ]) end as _errors
    from (
        select p.*,
            case
                when k1._found then 1
            end as _via,
            coalesce(k1.id) as _to_1,
            case when k1._found then k1._t_4 end as _t_4
        from sluice_stage.p_job as p
        left join (
            select true as _found, id, body as _t_4, (id) as _part_1
            from app.comments
        ) as k1 on k1._part_1 operator(pg_catalog.=) p.id
        where p._n >= $1 and p._n < $2
    ) as p
    left join (select distinct e._n from sluice_stage.e_job as e) as x on p._n = x._n
    offset '0'
    ) as r
    offset '0'
) as r
where r._errors is not null or r._action <> '=';

-- insert
insert into app.comments (
    id, body
)
select
    w.id,
    p.body
from sluice_stage.p_job as p
inner join sluice_stage.w_job as w on w._n = p._n and w._n >= $1 and w._n < $2
where p._n >= $1 and p._n < $2 and p._errors is null and w._action = 'i'
    and not exists (select from sluice_stage.e_job as e where e._n = p._n and e._n >= $1 and e._n < $2)
order by p._n;

-- update
update app.comments as t
set
    body = p.body,
    updated_at = now()
from sluice_stage.w_job as w
inner join sluice_stage.p_job as p on p._n = w._n and p._n >= $1 and p._n < $2
where w._n >= $1 and w._n < $2 and w._action = 'u'
    and not exists (select from sluice_stage.e_job as e where e._n = w._n and e._n >= $1 and e._n < $2)
    and t.id operator(pg_catalog.=) w.id;

-- sample
select coalesce(jsonb_agg(jsonb_build_object('row', s._n, 'action', 'update', 'before', s.before, 'after', s.after) order by s._n), '[]')
from (
    select w._n,
        (select to_jsonb(x) from (select t.body) as x) as before,
        (select to_jsonb(x) from (select p.body) as x) as after
    from sluice_stage.w_job as w
    inner join sluice_stage.p_job as p on p._n = w._n
    inner join app.comments as t on t.id operator(pg_catalog.=) w.id
    where w._action = 'u'
        and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    order by w._n
    limit 20
) as s;
