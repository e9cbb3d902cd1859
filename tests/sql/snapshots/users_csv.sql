-- create_plan
create unlogged table sluice_stage.p_job (
    _n bigint not null,
    id uuid,
    email text,
    name text,
    role text,
    active boolean,
    metadata jsonb,
    phone text,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    _errors jsonb
) with (autovacuum_enabled = false);

-- create_work
create unlogged table sluice_stage.w_job (_n bigint not null, _via integer, _action "char", _errors jsonb, id uuid) with (autovacuum_enabled = false);

-- create_extra
create unlogged table sluice_stage.e_job (_n bigint not null, _dropped boolean not null, _error jsonb) with (autovacuum_enabled = false);

-- cast
insert into sluice_stage.p_job (
    _n, id, email, name, role, active, metadata, phone, created_at, updated_at, _errors
)
select p._n, p.id, p.email, p.name, p.role, p.active, p.metadata, p.phone, p.created_at, p.updated_at,
    case
        when p._fault is not null then jsonb_build_array(p._fault)
        when (
            false
        or p._cell_1 is not null and p.id is null
        or p._cell_5 is not null and p.active is null
        or p._cell_6 is not null and p.metadata is null
        or p._cell_9 is not null and p.created_at is null
        or p._cell_10 is not null and p.updated_at is null
        or p.email is null and p._cell_2 is null
        or p.name is null and p._cell_3 is null
        or p.role is null and p._cell_4 is null
        or j.check_1 is false and p.email is not null
        or j.check_2 is false and not (p._cell_6 is not null and p.metadata is null)
        or j.check_3 is false and p.name is not null
        or j.check_4 is false and p.role is not null
        ) is not true then null
        else sluice.present(array[
            case when p._cell_1 is not null and p.id is null
            then sluice.type_error('id', p._cell_1, 'uuid', NULL) end,
            case when p._cell_5 is not null and p.active is null
            then sluice.type_error('active', p._cell_5, 'boolean', NULL) end,
            case when p._cell_6 is not null and p.metadata is null
            then sluice.type_error('metadata', p._cell_6, 'jsonb', NULL) end,
            case when p._cell_9 is not null and p.created_at is null
            then sluice.type_error('created_at', p._cell_9, 'timestamp with time zone', NULL) end,
            case when p._cell_10 is not null and p.updated_at is null
            then sluice.type_error('updated_at', p._cell_10, 'timestamp with time zone', NULL) end,
            case when p.email is null and p._cell_2 is null
            then sluice.record_error('required', 'email', null, 'must be given', null) end,
            case when p.name is null and p._cell_3 is null
            then sluice.record_error('required', 'name', null, 'must be given', null) end,
            case when p.role is null and p._cell_4 is null
            then sluice.record_error('required', 'role', null, 'must be given', null) end,
            case when j.check_1 is false and p.email is not null
            then sluice.record_error('check', 'email', 'users_email_valid', 'must be an e-mail address whose domain has a dot, such as ann@example.com', p.email::text) end,
            case when j.check_2 is false and not (p._cell_6 is not null and p.metadata is null)
            then sluice.record_error('check', 'metadata', 'users_metadata_object', 'must be a JSON object', p.metadata::text) end,
            case when j.check_3 is false and p.name is not null
            then sluice.record_error('check', 'name', 'users_name_length', 'must have 1 to 256 characters', p.name::text) end,
            case when j.check_4 is false and p.role is not null
            then sluice.record_error('check', 'role', 'users_role_known', 'must be one of admin, manager, author, editor, reader', p.role::text) end
        ])
    end as _errors
from (
    -- values: null where the type refuses the text
    select s._n, s._fault,
        case when pg_input_is_valid(s._cell_1, 'uuid') then s._cell_1::uuid end as id,
        s._cell_1,
        s._cell_2 as email,
        s._cell_2,
        s._cell_3 as name,
        s._cell_3,
        s._cell_4 as role,
        s._cell_4,
        case when pg_input_is_valid(s._cell_5, 'boolean') then s._cell_5::boolean end as active,
        s._cell_5,
        case when pg_input_is_valid(s._cell_6, 'jsonb') then s._cell_6::jsonb end as metadata,
        s._cell_6,
        s._cell_7 as phone,
        s._cell_7,
        case when pg_input_is_valid(s._cell_9, 'timestamp with time zone') then s._cell_9::timestamp with time zone end as created_at,
        s._cell_9,
        case when pg_input_is_valid(s._cell_10, 'timestamp with time zone') then s._cell_10::timestamp with time zone end as updated_at,
        s._cell_10
    from (
        select s._n,
            case when s._malformed is not null then sluice.record_error(
                'malformed', null, null, s._problem, s._malformed
            ) end as _fault,
            s.id as _cell_1,
            s.email as _cell_2,
            s.name as _cell_3,
            s.role as _cell_4,
            s.active as _cell_5,
            s.metadata as _cell_6,
            s.phone as _cell_7,
            s.created_at as _cell_9,
            s.updated_at as _cell_10
        from sluice_stage.s_job as s
        where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4
            and ($5 is null or s._n = any($5))
        offset 0
    ) as s
    offset 0
) as p
cross join lateral (
    select
        app.is_email_v1(email) as check_1,
        (jsonb_typeof(metadata) = 'object'::text) as check_2,
        ((length(name) >= 1) AND (length(name) <= 256)) as check_3,
        (role = ANY (ARRAY['admin'::text, 'manager'::text, 'author'::text, 'editor'::text, 'reader'::text])) as check_4
    from (select p.id, p.email, p.name, p.role, p.active, p.metadata, p.phone, p.created_at, p.updated_at) as users
) as j;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'email', 'users_email_unique', format('record %s has the same email', k.other), p.email::text
)
from (
    select p.email as part_1, min(p._n) filter (where p._errors is null) as other
    from sluice_stage.p_job as p
    where p.email is not null
    group by p.email
    having count(*) > 1
) as k
inner join sluice_stage.p_job as p on p.email operator(pg_catalog.=) k.part_1 and p.email is not null
where p._n > k.other;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'id', 'users_pkey', format('record %s has the same id', k.other), p.id::text
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
        row(p.email, p.name, p.role, case when p.active is not null then p.active else p._t_5 end, p.metadata, p.phone, case when p.updated_at is not null then p.updated_at else p._t_10 end)::record *<> row(p._t_2, p._t_3, p._t_4, p._t_5, p._t_6, p._t_7, p._t_10)::record as _changed,
        case when (
            false
            or p._conflict_2
        ) is not true then null
        else sluice.present(array[
                case when p._conflict_2
                then sluice.record_error('conflict', 'email', 'users_email_unique', 'belongs to another row than the one that the record matches', p.email::text) end
        ]) end as _errors
    from (
        select p.*,
            case
                when k1._found then 1
                when k2._found then 2
            end as _via,
            coalesce(k1.id, k2.id) as _to_1,
            case when k1._found then k1._t_2 when k2._found then k2._t_2 end as _t_2,
            case when k1._found then k1._t_3 when k2._found then k2._t_3 end as _t_3,
            case when k1._found then k1._t_4 when k2._found then k2._t_4 end as _t_4,
            case when k1._found then k1._t_5 when k2._found then k2._t_5 end as _t_5,
            case when k1._found then k1._t_6 when k2._found then k2._t_6 end as _t_6,
            case when k1._found then k1._t_7 when k2._found then k2._t_7 end as _t_7,
            case when k1._found then k1._t_10 when k2._found then k2._t_10 end as _t_10,
            k2._found and (k2.id) is distinct from (coalesce(k1.id, k2.id)) as _conflict_2
        from sluice_stage.p_job as p
        left join (
            select true as _found, id, email as _t_2, name as _t_3, role as _t_4, active as _t_5, metadata as _t_6, phone as _t_7, updated_at as _t_10, (id) as _part_1
            from app.users
        ) as k1 on k1._part_1 operator(pg_catalog.=) p.id
        left join (
            select true as _found, id, email as _t_2, name as _t_3, role as _t_4, active as _t_5, metadata as _t_6, phone as _t_7, updated_at as _t_10, (email) as _part_1
            from app.users
        ) as k2 on k2._part_1 operator(pg_catalog.=) p.email
        where p._n >= $1 and p._n < $2
    ) as p
    left join (select distinct e._n from sluice_stage.e_job as e) as x on p._n = x._n
    offset '0'
    ) as r
    offset '0'
) as r
where r._errors is not null or r._action <> '=' or r._via > 1;

-- fallback_conflicts
insert into sluice_stage.e_job (_n, _dropped, _error)
select greatest(w._n, p._n), false, sluice.record_error(
    'conflict', 'id', 'users_pkey',
    format('record %s is for the same row', least(w._n, p._n)), null
)
from sluice_stage.w_job as w
inner join (select id, (id) as _part_1 from app.users) as k on k.id operator(pg_catalog.=) w.id
inner join sluice_stage.p_job as p on k._part_1 operator(pg_catalog.=) p.id and p.id is not null
where w._via > 1 and w._errors is null and w._action is not null
    and p._n <> w._n and p._errors is null
    and not exists (select from sluice_stage.e_job as e where e._n in (w._n, p._n))
    and not exists (select from sluice_stage.w_job as x where x._n = p._n and x._errors is not null);

-- insert
insert into app.users (
    id, email, name, role, active, metadata, phone, created_at, updated_at
)
select
    w.id,
    p.email,
    p.name,
    p.role,
    case when p.active is not null then p.active else true end,
    p.metadata,
    p.phone,
    case when p.created_at is not null then p.created_at else now() end,
    case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.p_job as p
inner join sluice_stage.w_job as w on w._n = p._n and w._n >= $1 and w._n < $2
where p._n >= $1 and p._n < $2 and p._errors is null and w._action = 'i'
    and not exists (select from sluice_stage.e_job as e where e._n = p._n and e._n >= $1 and e._n < $2)
order by p._n;

-- update
update app.users as t
set
    email = p.email,
    name = p.name,
    role = p.role,
    active = case when p.active is not null then p.active else t.active end,
    metadata = p.metadata,
    phone = p.phone,
    updated_at = case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.w_job as w
inner join sluice_stage.p_job as p on p._n = w._n and p._n >= $1 and p._n < $2
where w._n >= $1 and w._n < $2 and w._action = 'u'
    and not exists (select from sluice_stage.e_job as e where e._n = w._n and e._n >= $1 and e._n < $2)
    and t.id operator(pg_catalog.=) w.id
    and (w._via <> 2 or (t.email operator(pg_catalog.=) p.email));

-- sample
select coalesce(jsonb_agg(jsonb_build_object('row', s._n, 'action', 'update', 'before', s.before, 'after', s.after) order by s._n), '[]')
from (
    select w._n,
        (select to_jsonb(x) from (select t.email, t.name, t.role, t.active, t.metadata, t.phone, t.updated_at) as x) as before,
        (select to_jsonb(x) from (select p.email, p.name, p.role, case when p.active is not null then p.active else t.active end as active, p.metadata, p.phone, case when p.updated_at is not null then p.updated_at else t.updated_at end as updated_at) as x) as after
    from sluice_stage.w_job as w
    inner join sluice_stage.p_job as p on p._n = w._n
    inner join app.users as t on t.id operator(pg_catalog.=) w.id
    where w._action = 'u'
        and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    order by w._n
    limit 20
) as s;
