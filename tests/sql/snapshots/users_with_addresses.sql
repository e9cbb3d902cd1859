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
    external_id text,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    _has_6 boolean,
    _has_7 boolean,
    _has_8 boolean,
    _list_1 boolean,
    _unknown text[],
    _errors jsonb
) with (autovacuum_enabled = false);

-- create_work
create unlogged table sluice_stage.w_job (_n bigint not null, _via integer, _action "char", _errors jsonb, id uuid) with (autovacuum_enabled = false);

-- create_extra
create unlogged table sluice_stage.e_job (_n bigint not null, _dropped boolean not null, _error jsonb) with (autovacuum_enabled = false);

-- cast
insert into sluice_stage.p_job (
    _n, id, email, name, role, active, metadata, phone, external_id, created_at, updated_at, _has_6, _has_7, _has_8, _list_1, _unknown, _errors
)
select p._n, p.id, p.email, p.name, p.role, p.active, p.metadata, p.phone, p.external_id, p.created_at, p.updated_at, p._has_6, p._has_7, p._has_8, p._list_1, p._unknown,
    case
        when p._fault is not null then jsonb_build_array(p._fault)
        when (
            false
        or p._cell_1 is not null and p.id is null
        or p._cell_2 is not null and p.email is null
        or p._cell_3 is not null and p.name is null
        or p._cell_4 is not null and p.role is null
        or p._cell_5 is not null and p.active is null
        or p._cell_7 is not null and p.phone is null
        or p._cell_8 is not null and p.external_id is null
        or p._cell_9 is not null and p.created_at is null
        or p._cell_10 is not null and p.updated_at is null
        or p.email is null and p._has_2 and p._cell_2 is null
        or p.name is null and p._has_3 and p._cell_3 is null
        or p.role is null and p._has_4 and p._cell_4 is null
        or j.check_1 is false and p.email is not null and p.email is not null
        or j.check_2 is false and p._has_6
        or j.check_3 is false and p.name is not null and p.name is not null
        or j.check_4 is false and p.role is not null and p.role is not null
        or p._list_1 and not p._is_list_1
        or p._unknown is not null
        ) is not true then null
        else sluice.present(array[
            case when p._cell_1 is not null and p.id is null
            then sluice.type_error('id', p._cell_1, 'uuid', NULL) end,
            case when p._cell_2 is not null and p.email is null
            then sluice.type_error('email', p._cell_2, 'text', NULL) end,
            case when p._cell_3 is not null and p.name is null
            then sluice.type_error('name', p._cell_3, 'text', NULL) end,
            case when p._cell_4 is not null and p.role is null
            then sluice.type_error('role', p._cell_4, 'text', NULL) end,
            case when p._cell_5 is not null and p.active is null
            then sluice.type_error('active', p._cell_5, 'boolean', NULL) end,
            case when p._cell_7 is not null and p.phone is null
            then sluice.type_error('phone', p._cell_7, 'text', NULL) end,
            case when p._cell_8 is not null and p.external_id is null
            then sluice.type_error('external_id', p._cell_8, 'text', NULL) end,
            case when p._cell_9 is not null and p.created_at is null
            then sluice.type_error('created_at', p._cell_9, 'timestamp with time zone', NULL) end,
            case when p._cell_10 is not null and p.updated_at is null
            then sluice.type_error('updated_at', p._cell_10, 'timestamp with time zone', NULL) end,
            case when p.email is null and p._has_2 and p._cell_2 is null
            then sluice.record_error('required', 'email', null, 'must be given', null) end,
            case when p.name is null and p._has_3 and p._cell_3 is null
            then sluice.record_error('required', 'name', null, 'must be given', null) end,
            case when p.role is null and p._has_4 and p._cell_4 is null
            then sluice.record_error('required', 'role', null, 'must be given', null) end,
            case when j.check_1 is false and p.email is not null and p.email is not null
            then sluice.record_error('check', 'email', 'users_email_valid', 'must be an e-mail address whose domain has a dot, such as ann@example.com', p.email::text) end,
            case when j.check_2 is false and p._has_6
            then sluice.record_error('check', 'metadata', 'users_metadata_object', 'must be a JSON object', p.metadata::text) end,
            case when j.check_3 is false and p.name is not null and p.name is not null
            then sluice.record_error('check', 'name', 'users_name_length', 'must have 1 to 256 characters', p.name::text) end,
            case when j.check_4 is false and p.role is not null and p.role is not null
            then sluice.record_error('check', 'role', 'users_role_known', 'must be one of admin, manager, author, editor, reader', p.role::text) end,
            case when p._list_1 and not p._is_list_1
            then sluice.record_error('type', 'addresses', null, 'expected a JSON array of objects', null) end,
            case when p._unknown is not null
            then (
            select sluice.record_error(
                'unknown_field', u, null, 'is no field of users', null
            )
            from unnest(p._unknown) as u limit 1
        ) end
        ])
    end as _errors
from (
    -- values: null where the type refuses the text
    select s._n, s._fault, s._unknown,
        case when (left(s._cell_1, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'id') = 'string') and pg_input_is_valid(s._cell_1, 'uuid') then s._cell_1::uuid end as id,
        s._cell_1,
        case when left(s._cell_2, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'email') = 'string' then s._cell_2 end as email,
        s._cell_2,
        s._doc ? 'email' as _has_2,
        case when left(s._cell_3, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'name') = 'string' then s._cell_3 end as name,
        s._cell_3,
        s._doc ? 'name' as _has_3,
        case when left(s._cell_4, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'role') = 'string' then s._cell_4 end as role,
        s._cell_4,
        s._doc ? 'role' as _has_4,
        case when pg_input_is_valid(s._cell_5, 'boolean') then s._cell_5::boolean end as active,
        s._cell_5,
        nullif(s._doc -> 'metadata', 'null') as metadata,
        s._doc ? 'metadata' as _has_6,
        case when left(s._cell_7, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'phone') = 'string' then s._cell_7 end as phone,
        s._cell_7,
        s._doc ? 'phone' as _has_7,
        case when left(s._cell_8, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'external_id') = 'string' then s._cell_8 end as external_id,
        s._cell_8,
        s._doc ? 'external_id' as _has_8,
        case when (left(s._cell_9, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'created_at') = 'string') and pg_input_is_valid(s._cell_9, 'timestamp with time zone') then s._cell_9::timestamp with time zone end as created_at,
        s._cell_9,
        case when (left(s._cell_10, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'updated_at') = 'string') and pg_input_is_valid(s._cell_10, 'timestamp with time zone') then s._cell_10::timestamp with time zone end as updated_at,
        s._cell_10,
        coalesce(s._doc -> 'addresses' <> 'null', false) as _list_1,
        coalesce(jsonb_typeof(s._doc -> 'addresses') = 'array', false) as _is_list_1
    from (
        select s._n, s._doc,
            case
                when s._doc is not null and not s._doc ? '_raw' then null
                when s._malformed is not null then sluice.record_error(
                    'malformed', null, null, s._problem, s._malformed
                )
                when s._doc is not null then sluice.record_error(
                    'malformed', null, null, 'was malformed before: mend it and take _raw away',
                    s._line
                )
                when pg_input_is_valid(s._line, 'jsonb') then sluice.record_error(
                    'malformed', null, null,
                    'expected a JSON object, found ' || jsonb_typeof(s._line::jsonb), s._line
                )
                else sluice.record_error('malformed', null, null, (
                    select format(
                        'not JSON that Postgres can hold (%s): mend it',
                        rtrim(coalesce(i.detail, i.message), '.')
                    )
                    from pg_input_error_info(s._line, 'jsonb') as i
                ), s._line)
            end as _fault,
            (select array_agg(u.key order by u.key)
                from jsonb_object_keys(s._doc - array['_errors', '_ignored', '_raw', '_row', 'active', 'addresses', 'created_at', 'email', 'external_id', 'id', 'metadata', 'name', 'phone', 'role', 'updated_at']) as u (key)) as _unknown,
            s._doc ->> 'id' as _cell_1,
            s._doc ->> 'email' as _cell_2,
            s._doc ->> 'name' as _cell_3,
            s._doc ->> 'role' as _cell_4,
            s._doc ->> 'active' as _cell_5,
            s._doc ->> 'phone' as _cell_7,
            s._doc ->> 'external_id' as _cell_8,
            s._doc ->> 'created_at' as _cell_9,
            s._doc ->> 'updated_at' as _cell_10
        from (
            select s._n, s._line, s._malformed, s._problem,
                case
                    when jsonb_typeof(s._doc) <> 'object' then null
                    when s._doc - array['_errors', '_ignored', '_raw', '_row', 'active', 'addresses', 'created_at', 'email', 'external_id', 'id', 'metadata', 'name', 'phone', 'role', 'updated_at'] = '{}' then s._doc
                    else sluice.fold_keys(s._doc, '{"id": "id", "name": "name", "role": "role", "email": "email", "phone": "phone", "active": "active", "metadata": "metadata", "addresses": "addresses", "created_at": "created_at", "updated_at": "updated_at", "external_id": "external_id"}', '{"id": "id", "name": "name", "role": "role", "email": "email", "phone": "phone", "active": "active", "metadata": "metadata", "addresses": "addresses", "created_at": "created_at", "updated_at": "updated_at", "external_id": "external_id"}')
                end as _doc
            from (
                select s._n, s.line as _line, s._malformed, s._problem,
                    case when pg_input_is_valid(s.line, 'jsonb') then s.line::jsonb end as _doc
                from sluice_stage.s_job as s
                where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4
                    and ($5 is null or s._n = any($5))
                offset 0
            ) as s
            offset 0
        ) as s
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
    from (select p.id, p.email, p.name, p.role, p.active, p.metadata, p.phone, p.external_id, p.created_at, p.updated_at) as users
) as j;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'email', 'users_email_unique', format('record %s has the same email', k.other), p.email::text
)
from (
    select p.email as part_1, min(p._n) filter (where p._errors is null and not exists (select from sluice_stage.e_job as e where e._n = p._n)) as other
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
    'duplicate', 'external_id', 'users_external_id_unique', format('record %s has the same external_id', k.other), p.external_id::text
)
from (
    select p.external_id as part_1, min(p._n) filter (where p._errors is null and not exists (select from sluice_stage.e_job as e where e._n = p._n)) as other
    from sluice_stage.p_job as p
    where p.external_id is not null
    group by p.external_id
    having count(*) > 1
) as k
inner join sluice_stage.p_job as p on p.external_id operator(pg_catalog.=) k.part_1 and p.external_id is not null
where p._n > k.other;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'id', 'users_pkey', format('record %s has the same id', k.other), p.id::text
)
from (
    select p.id as part_1, min(p._n) filter (where p._errors is null and not exists (select from sluice_stage.e_job as e where e._n = p._n)) as other
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
    select r._n, r._via, r._errors, r._to_1, r._new_1, r._list_1,
        case
            when r._bad or r._errors is not null then null
            when r._via is null then 'i'
            when r._changed then 'u'
            else '='
        end::"char" as _action
    from (
    select p._n, p._via, p._to_1, p.id as _new_1, p._list_1,
        p._errors is not null or x._n is not null as _bad,
        row(case when p.email is not null then p.email else p._t_2 end, case when p.name is not null then p.name else p._t_3 end, case when p.role is not null then p.role else p._t_4 end, case when p.active is not null then p.active else p._t_5 end, case when p._has_6 then p.metadata else p._t_6 end, case when p._has_7 then p.phone else p._t_7 end, case when p._has_8 then p.external_id else p._t_8 end, case when p.updated_at is not null then p.updated_at else p._t_10 end)::record *<> row(p._t_2, p._t_3, p._t_4, p._t_5, p._t_6, p._t_7, p._t_8, p._t_10)::record as _changed,
        case when (
            false
            or p._conflict_2
            or p._conflict_3
            or p._via is null and not (p.email is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
            or p._via is null and not (p.name is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "name"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
            or p._via is null and not (p.role is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "role"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
            or p._errors is null and x._n is null and j.late_1 is false and not (p.email is not null) and (p._via is null or p.email is not null)
            or p._errors is null and x._n is null and j.late_2 is false and not (p._has_6) and (p._via is null or p._has_6)
            or p._errors is null and x._n is null and j.late_3 is false and not (p.name is not null) and (p._via is null or p.name is not null)
            or p._errors is null and x._n is null and j.late_4 is false and not (p.role is not null) and (p._via is null or p.role is not null)
        ) is not true then null
        else sluice.present(array[
                case when p._conflict_2
                then sluice.record_error('conflict', 'email', 'users_email_unique', 'belongs to another row than the one that the record matches', p.email::text) end,
                case when p._conflict_3
                then sluice.record_error('conflict', 'external_id', 'users_external_id_unique', 'belongs to another row than the one that the record matches', p.external_id::text) end,
                case when p._via is null and not (p.email is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
                then sluice.record_error('required', 'email', null, 'must be given for a new row', null) end,
                case when p._via is null and not (p.name is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "name"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
                then sluice.record_error('required', 'name', null, 'must be given for a new row', null) end,
                case when p._via is null and not (p.role is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "role"}]' or p._errors @> '[{"field": "email"}]' or p._errors @> '[{"field": "external_id"}]' or p._errors @> '[{"field": "id"}]'))
                then sluice.record_error('required', 'role', null, 'must be given for a new row', null) end,
                case when p._errors is null and x._n is null and j.late_1 is false and not (p.email is not null) and (p._via is null or p.email is not null)
                then sluice.record_error('check', 'email', 'users_email_valid', 'must be an e-mail address whose domain has a dot, such as ann@example.com', null) end,
                case when p._errors is null and x._n is null and j.late_2 is false and not (p._has_6) and (p._via is null or p._has_6)
                then sluice.record_error('check', 'metadata', 'users_metadata_object', 'must be a JSON object', null) end,
                case when p._errors is null and x._n is null and j.late_3 is false and not (p.name is not null) and (p._via is null or p.name is not null)
                then sluice.record_error('check', 'name', 'users_name_length', 'must have 1 to 256 characters', null) end,
                case when p._errors is null and x._n is null and j.late_4 is false and not (p.role is not null) and (p._via is null or p.role is not null)
                then sluice.record_error('check', 'role', 'users_role_known', 'must be one of admin, manager, author, editor, reader', null) end
        ]) end as _errors
    from (
        select p.*,
            case
                when k1._found then 1
                when k2._found then 2
                when k3._found then 3
            end as _via,
            coalesce(k1.id, k2.id, k3.id) as _to_1,
            case when k1._found then k1._t_2 when k2._found then k2._t_2 when k3._found then k3._t_2 end as _t_2,
            case when k1._found then k1._t_3 when k2._found then k2._t_3 when k3._found then k3._t_3 end as _t_3,
            case when k1._found then k1._t_4 when k2._found then k2._t_4 when k3._found then k3._t_4 end as _t_4,
            case when k1._found then k1._t_5 when k2._found then k2._t_5 when k3._found then k3._t_5 end as _t_5,
            case when k1._found then k1._t_6 when k2._found then k2._t_6 when k3._found then k3._t_6 end as _t_6,
            case when k1._found then k1._t_7 when k2._found then k2._t_7 when k3._found then k3._t_7 end as _t_7,
            case when k1._found then k1._t_8 when k2._found then k2._t_8 when k3._found then k3._t_8 end as _t_8,
            case when k1._found then k1._t_10 when k2._found then k2._t_10 when k3._found then k3._t_10 end as _t_10,
            k2._found and (k2.id) is distinct from (coalesce(k1.id, k2.id, k3.id)) as _conflict_2,
            k3._found and (k3.id) is distinct from (coalesce(k1.id, k2.id, k3.id)) as _conflict_3
        from sluice_stage.p_job as p
        left join (
            select true as _found, id, email as _t_2, name as _t_3, role as _t_4, active as _t_5, metadata as _t_6, phone as _t_7, external_id as _t_8, updated_at as _t_10, (id) as _part_1
            from app.users
        ) as k1 on k1._part_1 operator(pg_catalog.=) p.id
        left join (
            select true as _found, id, email as _t_2, name as _t_3, role as _t_4, active as _t_5, metadata as _t_6, phone as _t_7, external_id as _t_8, updated_at as _t_10, (email) as _part_1
            from app.users
        ) as k2 on k2._part_1 operator(pg_catalog.=) p.email
        left join (
            select true as _found, id, email as _t_2, name as _t_3, role as _t_4, active as _t_5, metadata as _t_6, phone as _t_7, external_id as _t_8, updated_at as _t_10, (external_id) as _part_1
            from app.users
        ) as k3 on k3._part_1 operator(pg_catalog.=) p.external_id
        where p._n >= $1 and p._n < $2
    ) as p
    left join (select distinct e._n from sluice_stage.e_job as e) as x on p._n = x._n
    cross join lateral (
        select
        app.is_email_v1(email) as late_1,
        (jsonb_typeof(metadata) = 'object'::text) as late_2,
        ((length(name) >= 1) AND (length(name) <= 256)) as late_3,
        (role = ANY (ARRAY['admin'::text, 'manager'::text, 'author'::text, 'editor'::text, 'reader'::text])) as late_4
        from (
            select case when p.email is not null then p.email when p._via is not null then p._t_2 else null::text end as email,
            case when p.name is not null then p.name when p._via is not null then p._t_3 else null::text end as name,
            case when p.role is not null then p.role when p._via is not null then p._t_4 else null::text end as role,
            case when p._has_6 then p.metadata when p._via is not null then p._t_6 else '{}'::jsonb end as metadata
        ) as o
    ) as j
    offset '0'
    ) as r
    offset '0'
) as r
where r._errors is not null or r._action <> '=' or r._via > 1 or r._list_1;

-- fallback_conflicts
insert into sluice_stage.e_job (_n, _dropped, _error)
select greatest(w._n, p._n), false, sluice.record_error(
    'conflict', 'email', 'users_email_unique',
    format('record %s is for the same row', least(w._n, p._n)), null
)
from sluice_stage.w_job as w
inner join (select id, (email) as _part_1 from app.users) as k on k.id operator(pg_catalog.=) w.id
inner join sluice_stage.p_job as p on k._part_1 operator(pg_catalog.=) p.email and p.email is not null
where w._via > 2 and w._errors is null and w._action is not null
    and p._n <> w._n and p._errors is null
    and not exists (select from sluice_stage.e_job as e where e._n in (w._n, p._n))
    and not exists (select from sluice_stage.w_job as x where x._n = p._n and x._errors is not null);

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
    id, email, name, role, active, metadata, phone, external_id, created_at, updated_at
)
select
    w.id,
    case when p.email is not null then p.email else null end,
    case when p.name is not null then p.name else null end,
    case when p.role is not null then p.role else null end,
    case when p.active is not null then p.active else true end,
    case when p._has_6 then p.metadata else '{}'::jsonb end,
    case when p._has_7 then p.phone else null end,
    case when p._has_8 then p.external_id else null end,
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
    email = case when p.email is not null then p.email else t.email end,
    name = case when p.name is not null then p.name else t.name end,
    role = case when p.role is not null then p.role else t.role end,
    active = case when p.active is not null then p.active else t.active end,
    metadata = case when p._has_6 then p.metadata else t.metadata end,
    phone = case when p._has_7 then p.phone else t.phone end,
    external_id = case when p._has_8 then p.external_id else t.external_id end,
    updated_at = case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.w_job as w
inner join sluice_stage.p_job as p on p._n = w._n and p._n >= $1 and p._n < $2
where w._n >= $1 and w._n < $2 and w._action = 'u'
    and not exists (select from sluice_stage.e_job as e where e._n = w._n and e._n >= $1 and e._n < $2)
    and t.id operator(pg_catalog.=) w.id
    and (w._via <> 2 or (t.email operator(pg_catalog.=) p.email))
    and (w._via <> 3 or (t.external_id operator(pg_catalog.=) p.external_id));

-- sample
select coalesce(jsonb_agg(jsonb_build_object('row', s._n, 'action', 'update', 'before', s.before, 'after', s.after) order by s._n), '[]')
from (
    select w._n,
        (select to_jsonb(x) from (select t.email, t.name, t.role, t.active, t.metadata, t.phone, t.external_id, t.updated_at) as x) as before,
        (select to_jsonb(x) from (select case when p.email is not null then p.email else t.email end as email, case when p.name is not null then p.name else t.name end as name, case when p.role is not null then p.role else t.role end as role, case when p.active is not null then p.active else t.active end as active, case when p._has_6 then p.metadata else t.metadata end as metadata, case when p._has_7 then p.phone else t.phone end as phone, case when p._has_8 then p.external_id else t.external_id end as external_id, case when p.updated_at is not null then p.updated_at else t.updated_at end as updated_at) as x) as after
    from sluice_stage.w_job as w
    inner join sluice_stage.p_job as p on p._n = w._n
    inner join app.users as t on t.id operator(pg_catalog.=) w.id
    where w._action = 'u'
        and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    order by w._n
    limit 20
) as s;

-- addresses: create_plan
create unlogged table sluice_stage.c1_job (
    _n bigint not null,
    _i integer not null,
    id uuid,
    label text,
    street text,
    city text,
    postal_code text,
    country text,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    _has_4 boolean,
    _has_7 boolean,
    _has_8 boolean,
    _unknown text[],
    _errors jsonb
) with (autovacuum_enabled = false);

-- addresses: create_work
create unlogged table sluice_stage.d1_job (_n bigint not null, _i integer, _action "char" not null, id uuid) with (autovacuum_enabled = false);

-- addresses: cast
insert into sluice_stage.c1_job (
    _n, _i, id, label, street, city, postal_code, country, created_at, updated_at, _has_4, _has_7, _has_8, _unknown, _errors
)
select p._n, p._i, p.id, p.label, p.street, p.city, p.postal_code, p.country, p.created_at, p.updated_at, p._has_4, p._has_7, p._has_8, p._unknown,
    case
        when p._fault is not null then jsonb_build_array(p._fault)
        when (
            false
        or p._cell_1 is not null and p.id is null
        or p._cell_4 is not null and p.label is null
        or p._cell_5 is not null and p.street is null
        or p._cell_6 is not null and p.city is null
        or p._cell_7 is not null and p.postal_code is null
        or p._cell_8 is not null and p.country is null
        or p._cell_9 is not null and p.created_at is null
        or p._cell_10 is not null and p.updated_at is null
        or p.street is null and p._has_5 and p._cell_5 is null
        or p.city is null and p._has_6 and p._cell_6 is null
        or j.check_1 is false and p.city is not null and p.city is not null
        or j.check_3 is false and p.street is not null and p.street is not null
        or p._unknown is not null
        ) is not true then null
        else sluice.present(array[
            case when p._cell_1 is not null and p.id is null
            then sluice.type_error('id', p._cell_1, 'uuid', NULL) end,
            case when p._cell_4 is not null and p.label is null
            then sluice.type_error('label', p._cell_4, 'text', NULL) end,
            case when p._cell_5 is not null and p.street is null
            then sluice.type_error('street', p._cell_5, 'text', NULL) end,
            case when p._cell_6 is not null and p.city is null
            then sluice.type_error('city', p._cell_6, 'text', NULL) end,
            case when p._cell_7 is not null and p.postal_code is null
            then sluice.type_error('postal_code', p._cell_7, 'text', NULL) end,
            case when p._cell_8 is not null and p.country is null
            then sluice.type_error('country', p._cell_8, 'text', NULL) end,
            case when p._cell_9 is not null and p.created_at is null
            then sluice.type_error('created_at', p._cell_9, 'timestamp with time zone', NULL) end,
            case when p._cell_10 is not null and p.updated_at is null
            then sluice.type_error('updated_at', p._cell_10, 'timestamp with time zone', NULL) end,
            case when p.street is null and p._has_5 and p._cell_5 is null
            then sluice.record_error('required', 'street', null, 'must be given', null) end,
            case when p.city is null and p._has_6 and p._cell_6 is null
            then sluice.record_error('required', 'city', null, 'must be given', null) end,
            case when j.check_1 is false and p.city is not null and p.city is not null
            then sluice.record_error('check', 'city', 'addresses_city_length', 'must have 1 to 200 characters', p.city::text) end,
            case when j.check_3 is false and p.street is not null and p.street is not null
            then sluice.record_error('check', 'street', 'addresses_street_length', 'must have 1 to 500 characters', p.street::text) end,
            case when p._unknown is not null
            then (
            select sluice.record_error(
                'unknown_field', u, null, 'is no field of addresses', null
            )
            from unnest(p._unknown) as u limit 1
        ) end
        ])
    end as _errors
from (
    -- values: null where the type refuses the text
    select s._n, s._fault, s._unknown, s._i,
        case when (left(s._cell_1, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'id') = 'string') and pg_input_is_valid(s._cell_1, 'uuid') then s._cell_1::uuid end as id,
        s._cell_1,
        case when left(s._cell_4, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'label') = 'string' then s._cell_4 end as label,
        s._cell_4,
        s._doc ? 'label' as _has_4,
        case when left(s._cell_5, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'street') = 'string' then s._cell_5 end as street,
        s._cell_5,
        s._doc ? 'street' as _has_5,
        case when left(s._cell_6, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'city') = 'string' then s._cell_6 end as city,
        s._cell_6,
        s._doc ? 'city' as _has_6,
        case when left(s._cell_7, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'postal_code') = 'string' then s._cell_7 end as postal_code,
        s._cell_7,
        s._doc ? 'postal_code' as _has_7,
        case when left(s._cell_8, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'country') = 'string' then s._cell_8 end as country,
        s._cell_8,
        s._doc ? 'country' as _has_8,
        case when (left(s._cell_9, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'created_at') = 'string') and pg_input_is_valid(s._cell_9, 'timestamp with time zone') then s._cell_9::timestamp with time zone end as created_at,
        s._cell_9,
        case when (left(s._cell_10, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'updated_at') = 'string') and pg_input_is_valid(s._cell_10, 'timestamp with time zone') then s._cell_10::timestamp with time zone end as updated_at,
        s._cell_10
    from (
        select s._n, s._i, s._doc,
            case
                when s._doc is not null and not s._doc ? '_raw' then null
                else sluice.record_error('type', null, null, 'expected an object', s._line)
            end as _fault,
            (select array_agg(u.key order by u.key)
                from jsonb_object_keys(s._doc - array['_errors', '_ignored', '_raw', '_row', 'city', 'country', 'created_at', 'id', 'label', 'position', 'postal_code', 'street', 'updated_at', 'user_id']) as u (key)) as _unknown,
            s._doc ->> 'id' as _cell_1,
            s._doc ->> 'label' as _cell_4,
            s._doc ->> 'street' as _cell_5,
            s._doc ->> 'city' as _cell_6,
            s._doc ->> 'postal_code' as _cell_7,
            s._doc ->> 'country' as _cell_8,
            s._doc ->> 'created_at' as _cell_9,
            s._doc ->> 'updated_at' as _cell_10
        from (
            select s._n, s._i, s._line, s._malformed, s._problem,
                case
                    when jsonb_typeof(s._doc) <> 'object' then null
                    when s._doc - array['_errors', '_ignored', '_raw', '_row', 'city', 'country', 'created_at', 'id', 'label', 'position', 'postal_code', 'street', 'updated_at', 'user_id'] = '{}' then s._doc
                    else sluice.fold_keys(s._doc, '{"id": "id", "city": "city", "label": "label", "street": "street", "country": "country", "user_id": "user_id", "position": "position", "created_at": "created_at", "updated_at": "updated_at", "postal_code": "postal_code"}', '{"id": "id", "city": "city", "label": "label", "street": "street", "country": "country", "user_id": "user_id", "position": "position", "created_at": "created_at", "updated_at": "updated_at", "postal_code": "postal_code"}')
                end as _doc
            from (
                select s._n, (e.place - 1)::integer as _i, e.item as _doc, e.item::text as _line,
                    null::text as _malformed, null::text as _problem
                from (
                    select s._n, case when pg_input_is_valid(s.line, 'jsonb') and s.line is json object then coalesce(s.line::jsonb -> 'addresses', sluice.fold_keys(s.line::jsonb, '{"id": "id", "name": "name", "role": "role", "email": "email", "phone": "phone", "active": "active", "metadata": "metadata", "addresses": "addresses", "created_at": "created_at", "updated_at": "updated_at", "external_id": "external_id"}', '{"id": "id", "name": "name", "role": "role", "email": "email", "phone": "phone", "active": "active", "metadata": "metadata", "addresses": "addresses", "created_at": "created_at", "updated_at": "updated_at", "external_id": "external_id"}') -> 'addresses') end as _list
                    from sluice_stage.s_job as s
                    where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4
                        and ($5 is null or s._n = any($5))
                        and s.line ilike any (array['%addresses%'])
                    offset 0
                ) as s
                cross join lateral jsonb_array_elements(
                    case when jsonb_typeof(s._list) = 'array' then s._list else '[]' end
                ) with ordinality as e (item, place)
                offset 0
            ) as s
            offset 0
        ) as s
        offset 0
    ) as s
    offset 0
) as p
cross join lateral (
    select
        ((length(city) >= 1) AND (length(city) <= 200)) as check_1,
        ((length(street) >= 1) AND (length(street) <= 500)) as check_3
    from (select p.id, p.label, p.street, p.city, p.postal_code, p.country, p.created_at, p.updated_at) as addresses
) as j;

-- addresses: errors
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.list_error(e.error, 'addresses', p._i)
from sluice_stage.c1_job as p
cross join lateral jsonb_array_elements(p._errors) as e (error)
where p._errors is not null;

-- addresses: duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.list_error(sluice.record_error('duplicate', 'id', null, 'another element of the file has the same key', p.id::text), 'addresses', p._i)
from (
    select p.*, row_number() over (partition by p.id order by p._n, p._i) as _turn
    from sluice_stage.c1_job as p where p.id is not null
) as p
where p._turn > 1;

-- addresses: match
insert into sluice_stage.d1_job (_n, _i, _action, id)
with lists as materialized (
    select w._n, w.id as _parent
    from sluice_stage.w_job as w
    inner join sluice_stage.p_job as p on p._n = w._n
    where p._list_1 and w._action in ('i', 'u', '=')
        and not exists (select from sluice_stage.e_job as e where e._n = w._n)
),
sent as materialized (
    select p._n, p._i, p.id, p.id is not null as _given,
        coalesce(p._has_4, false)::text || ' ' || coalesce(p.street is not null, false)::text || ' ' || coalesce(p.city is not null, false)::text || ' ' || coalesce(p._has_7, false)::text || ' ' || coalesce(p._has_8, false)::text || ' ' || coalesce(p.created_at is not null, false)::text || ' ' || coalesce(p.updated_at is not null, false)::text as _pattern, row(case when p._has_4 then p.label end, case when p.street is not null then p.street end, case when p.city is not null then p.city end, case when p._has_7 then p.postal_code end, case when p._has_8 then p.country end, case when p.created_at is not null then p.created_at end, case when p.updated_at is not null then p.updated_at end)::text as _image
    from sluice_stage.c1_job as p inner join lists as l on l._n = p._n
),
stored as materialized (
    select l._n, t.*
    from lists as l inner join app.addresses as t on t.user_id = l._parent
),
-- by key, within the parent
keyed as (
    select p._n, p._i, t.id from sent as p
    inner join stored as t on t._n = p._n and t.id operator(pg_catalog.=) p.id
),
-- the others as a multiset of all that was sent
paired as (
    select distinct on (t.id) p._n, p._i, t.id
    from (
        select p.*, row_number() over (partition by p._n, p._pattern, p._image order by p._i) as _turn
        from sent as p where not p._given
    ) as p
    inner join (
        select e.*, o._pattern, row(case when split_part(o._pattern, ' ', 1) = 'true' then e.label end, case when split_part(o._pattern, ' ', 2) = 'true' then e.street end, case when split_part(o._pattern, ' ', 3) = 'true' then e.city end, case when split_part(o._pattern, ' ', 4) = 'true' then e.postal_code end, case when split_part(o._pattern, ' ', 5) = 'true' then e.country end, case when split_part(o._pattern, ' ', 6) = 'true' then e.created_at end, case when split_part(o._pattern, ' ', 7) = 'true' then e.updated_at end)::text as _image,
            row_number() over (partition by e._n, o._pattern, row(case when split_part(o._pattern, ' ', 1) = 'true' then e.label end, case when split_part(o._pattern, ' ', 2) = 'true' then e.street end, case when split_part(o._pattern, ' ', 3) = 'true' then e.city end, case when split_part(o._pattern, ' ', 4) = 'true' then e.postal_code end, case when split_part(o._pattern, ' ', 5) = 'true' then e.country end, case when split_part(o._pattern, ' ', 6) = 'true' then e.created_at end, case when split_part(o._pattern, ' ', 7) = 'true' then e.updated_at end)::text order by e."position", e.id) as _turn
        from stored as e
        inner join (select distinct p._n, p._pattern from sent as p where not p._given) as o on o._n = e._n
        where not exists (select from keyed as m where m._n = e._n and m.id operator(pg_catalog.=) e.id)
    ) as t on t._n = p._n and t._pattern = p._pattern and t._image = p._image and t._turn = p._turn
    order by t.id, p._i
),
matched as (
    select * from keyed union all select * from paired
)
select p._n, p._i, case when m._n is null then 'i' else 'u' end, m.id
from sluice_stage.c1_job as p
inner join lists as l on l._n = p._n
left join matched as m on m._n = p._n and m._i = p._i
left join stored as t on t._n = m._n and t.id operator(pg_catalog.=) m.id
where m._n is null or row(case when p._has_4 then p.label else t.label end, case when p.street is not null then p.street else t.street end, case when p.city is not null then p.city else t.city end, case when p._has_7 then p.postal_code else t.postal_code end, case when p._has_8 then p.country else t.country end, case when p.created_at is not null then p.created_at else t.created_at end, case when p.updated_at is not null then p.updated_at else t.updated_at end, (p._i + 1)::integer)::record *<> row(t.label, t.street, t.city, t.postal_code, t.country, t.created_at, t.updated_at, t."position"::integer)::record
union all
select t._n, null, 'd', t.id
from stored as t
where not exists (select from matched as m where m._n = t._n and m.id operator(pg_catalog.=) t.id);

-- addresses: faults
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.list_error(e.error, 'addresses', p._i)
from sluice_stage.c1_job as p
inner join sluice_stage.d1_job as d on d._n = p._n and d._i = p._i and d._action = 'i'
cross join lateral (
    select sluice.record_error('conflict', 'id', null, 'belongs to another users', p.id::text) where p.id is not null and exists (select from app.addresses as t where t.id operator(pg_catalog.=) p.id)
    union all
    select sluice.record_error('required', 'street', null, 'must be given for a new row', null) where not (p.street is not null)
    union all
    select sluice.record_error('required', 'city', null, 'must be given for a new row', null) where not (p.city is not null)
) as e (error);

-- addresses: changes
update sluice_stage.w_job as w
set _action = 'c'
where w._action = '='
    and exists (select from sluice_stage.d1_job as d where d._n = w._n);

-- addresses: delete
delete from app.addresses as t
using sluice_stage.d1_job as d
inner join sluice_stage.w_job as w on w._n = d._n
where w._n >= $1 and w._n < $2 and w._action in ('i', 'u', 'c')
    and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    and d._action = 'd' and t.id operator(pg_catalog.=) d.id;

-- addresses: update
update app.addresses as t
set
    label = case when p._has_4 then p.label else t.label end,
    street = case when p.street is not null then p.street else t.street end,
    city = case when p.city is not null then p.city else t.city end,
    postal_code = case when p._has_7 then p.postal_code else t.postal_code end,
    country = case when p._has_8 then p.country else t.country end,
    "position" = d._i + 1,
    updated_at = coalesce(p.updated_at, now())
from sluice_stage.d1_job as d
inner join sluice_stage.w_job as w on w._n = d._n
inner join sluice_stage.c1_job as p on p._n = d._n and p._i = d._i
where w._n >= $1 and w._n < $2 and w._action in ('i', 'u', 'c')
    and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    and d._action = 'u' and t.id operator(pg_catalog.=) d.id;

-- addresses: insert
insert into app.addresses (user_id, "position", id, label, street, city, postal_code, country, created_at, updated_at)
select w.id, d._i + 1, case when p.id is not null then p.id else gen_random_uuid() end, case when p._has_4 then p.label else null end, case when p.street is not null then p.street else null end, case when p.city is not null then p.city else null end, case when p._has_7 then p.postal_code else null end, case when p._has_8 then p.country else null end, case when p.created_at is not null then p.created_at else now() end, case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.d1_job as d
inner join sluice_stage.w_job as w on w._n = d._n
inner join sluice_stage.c1_job as p on p._n = d._n and p._i = d._i
where w._n >= $1 and w._n < $2 and w._action in ('i', 'u', 'c')
    and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    and d._action = 'i'
order by d._n, d._i;
