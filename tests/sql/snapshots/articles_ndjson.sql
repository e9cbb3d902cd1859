-- create_plan
create unlogged table sluice_stage.p_job (
    _n bigint not null,
    id uuid,
    slug text,
    title text,
    body text,
    author_id uuid,
    tags text[],
    status text,
    published_at timestamp with time zone,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    _has_8 boolean,
    _unknown text[],
    _errors jsonb
) with (autovacuum_enabled = false);

-- create_work
create unlogged table sluice_stage.w_job (_n bigint not null, _via integer, _action "char", _errors jsonb, id uuid) with (autovacuum_enabled = false);

-- create_extra
create unlogged table sluice_stage.e_job (_n bigint not null, _dropped boolean not null, _error jsonb) with (autovacuum_enabled = false);

-- cast
insert into sluice_stage.p_job (
    _n, id, slug, title, body, author_id, tags, status, published_at, created_at, updated_at, _has_8, _unknown, _errors
)
select p._n, p.id, p.slug, p.title, p.body, p.author_id, p.tags, p.status, p.published_at, p.created_at, p.updated_at, p._has_8, p._unknown,
    case
        when p._fault is not null then jsonb_build_array(p._fault)
        when (
            false
        or p._cell_1 is not null and p.id is null
        or p._cell_2 is not null and p.slug is null
        or p._cell_3 is not null and p.title is null
        or p._cell_4 is not null and p.body is null
        or p._cell_5 is not null and p.author_id is null
        or p._cell_6 is not null and p.tags is null
        or p._cell_7 is not null and p.status is null
        or p._cell_8 is not null and p.published_at is null
        or p._cell_9 is not null and p.created_at is null
        or p._cell_10 is not null and p.updated_at is null
        or p.slug is null and p._has_2 and p._cell_2 is null
        or p.title is null and p._has_3 and p._cell_3 is null
        or p.body is null and p._has_4 and p._cell_4 is null
        or p.author_id is null and p._has_5 and p._cell_5 is null
        or j.check_1 is false and p.body is not null and p.body is not null
        or j.check_2 is false and p.status is not null and p._has_8 and not (p._cell_7 is not null and p.status is null) and not (p._cell_8 is not null and p.published_at is null)
        or j.check_3 is false and p.status is not null and p._has_8 and not (p._cell_7 is not null and p.status is null) and not (p._cell_8 is not null and p.published_at is null)
        or j.check_4 is false and p.slug is not null and p.slug is not null
        or j.check_5 is false and p.status is not null and not (p._cell_7 is not null and p.status is null)
        or j.check_6 is false and p.title is not null and p.title is not null
        or p.author_id is not null and not exists (select from app.users as k where k.id operator(pg_catalog.=) p.author_id)
        or p._unknown is not null
        ) is not true then null
        else sluice.present(array[
            case when p._cell_1 is not null and p.id is null
            then sluice.type_error('id', p._cell_1, 'uuid', NULL) end,
            case when p._cell_2 is not null and p.slug is null
            then sluice.type_error('slug', p._cell_2, 'text', NULL) end,
            case when p._cell_3 is not null and p.title is null
            then sluice.type_error('title', p._cell_3, 'text', NULL) end,
            case when p._cell_4 is not null and p.body is null
            then sluice.type_error('body', p._cell_4, 'text', NULL) end,
            case when p._cell_5 is not null and p.author_id is null
            then sluice.type_error('author_id', p._cell_5, 'uuid', NULL) end,
            case when p._cell_6 is not null and p.tags is null
            then sluice.type_error('tags', p._cell_6, 'text[]', NULL) end,
            case when p._cell_7 is not null and p.status is null
            then sluice.type_error('status', p._cell_7, 'text', NULL) end,
            case when p._cell_8 is not null and p.published_at is null
            then sluice.type_error('published_at', p._cell_8, 'timestamp with time zone', NULL) end,
            case when p._cell_9 is not null and p.created_at is null
            then sluice.type_error('created_at', p._cell_9, 'timestamp with time zone', NULL) end,
            case when p._cell_10 is not null and p.updated_at is null
            then sluice.type_error('updated_at', p._cell_10, 'timestamp with time zone', NULL) end,
            case when p.slug is null and p._has_2 and p._cell_2 is null
            then sluice.record_error('required', 'slug', null, 'must be given', null) end,
            case when p.title is null and p._has_3 and p._cell_3 is null
            then sluice.record_error('required', 'title', null, 'must be given', null) end,
            case when p.body is null and p._has_4 and p._cell_4 is null
            then sluice.record_error('required', 'body', null, 'must be given', null) end,
            case when p.author_id is null and p._has_5 and p._cell_5 is null
            then sluice.record_error('required', 'author_id', null, 'must be given', null) end,
            case when j.check_1 is false and p.body is not null and p.body is not null
            then sluice.record_error('check', 'body', 'articles_body_words', 'must have 10 to 50,000 words', p.body::text) end,
            case when j.check_2 is false and p.status is not null and p._has_8 and not (p._cell_7 is not null and p.status is null) and not (p._cell_8 is not null and p.published_at is null)
            then sluice.record_error('check', 'published_at', 'articles_draft_not_published', 'must be empty when status is draft', p.published_at::text) end,
            case when j.check_3 is false and p.status is not null and p._has_8 and not (p._cell_7 is not null and p.status is null) and not (p._cell_8 is not null and p.published_at is null)
            then sluice.record_error('check', 'published_at', 'articles_published_at_given', 'must be given when status is published', p.published_at::text) end,
            case when j.check_4 is false and p.slug is not null and p.slug is not null
            then sluice.record_error('check', 'slug', 'articles_slug_kebab', 'must be kebab-case: lower-case letters and digits in groups joined by single hyphens', p.slug::text) end,
            case when j.check_5 is false and p.status is not null and not (p._cell_7 is not null and p.status is null)
            then sluice.record_error('check', 'status', 'articles_status_known', 'must be one of draft, published, archived', p.status::text) end,
            case when j.check_6 is false and p.title is not null and p.title is not null
            then sluice.record_error('check', 'title', 'articles_title_length', 'must have 1 to 500 characters', p.title::text) end,
            case when p.author_id is not null and not exists (select from app.users as k where k.id operator(pg_catalog.=) p.author_id)
            then sluice.record_error('reference', 'author_id', 'articles_author_id_fkey', format('no row of users has id = %s', p.author_id), p.author_id::text) end,
            case when p._unknown is not null
            then (
            select sluice.record_error(
                'unknown_field', u, null, 'is no field of articles', null
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
        case when left(s._cell_2, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'slug') = 'string' then s._cell_2 end as slug,
        s._cell_2,
        s._doc ? 'slug' as _has_2,
        case when left(s._cell_3, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'title') = 'string' then s._cell_3 end as title,
        s._cell_3,
        s._doc ? 'title' as _has_3,
        case when left(s._cell_4, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'body') = 'string' then s._cell_4 end as body,
        s._cell_4,
        s._doc ? 'body' as _has_4,
        case when (left(s._cell_5, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'author_id') = 'string') and pg_input_is_valid(s._cell_5, 'uuid') then s._cell_5::uuid end as author_id,
        s._cell_5,
        s._doc ? 'author_id' as _has_5,
        case when jsonb_typeof(s._doc -> 'tags') <> 'object' and pg_input_is_valid(s._cell_6, 'text[]') then s._cell_6::text[] end as tags,
        s._cell_6,
        case when left(s._cell_7, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'status') = 'string' then s._cell_7 end as status,
        s._cell_7,
        case when (left(s._cell_8, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'published_at') = 'string') and pg_input_is_valid(s._cell_8, 'timestamp with time zone') then s._cell_8::timestamp with time zone end as published_at,
        s._cell_8,
        s._doc ? 'published_at' as _has_8,
        case when (left(s._cell_9, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'created_at') = 'string') and pg_input_is_valid(s._cell_9, 'timestamp with time zone') then s._cell_9::timestamp with time zone end as created_at,
        s._cell_9,
        case when (left(s._cell_10, 1) not in ('{', '[') or jsonb_typeof(s._doc -> 'updated_at') = 'string') and pg_input_is_valid(s._cell_10, 'timestamp with time zone') then s._cell_10::timestamp with time zone end as updated_at,
        s._cell_10
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
                from jsonb_object_keys(s._doc - array['_errors', '_ignored', '_raw', '_row', 'author_id', 'body', 'created_at', 'id', 'published_at', 'slug', 'status', 'tags', 'title', 'updated_at']) as u (key)) as _unknown,
            s._doc ->> 'id' as _cell_1,
            s._doc ->> 'slug' as _cell_2,
            s._doc ->> 'title' as _cell_3,
            s._doc ->> 'body' as _cell_4,
            s._doc ->> 'author_id' as _cell_5,
            case jsonb_typeof(s._doc -> 'tags') when 'array' then sluice.array_literal(s._doc -> 'tags', 'f') else s._doc ->> 'tags' end as _cell_6,
            s._doc ->> 'status' as _cell_7,
            s._doc ->> 'published_at' as _cell_8,
            s._doc ->> 'created_at' as _cell_9,
            s._doc ->> 'updated_at' as _cell_10
        from (
            select s._n, s._line, s._malformed, s._problem,
                case
                    when jsonb_typeof(s._doc) <> 'object' then null
                    when s._doc - array['_errors', '_ignored', '_raw', '_row', 'author_id', 'body', 'created_at', 'id', 'published_at', 'slug', 'status', 'tags', 'title', 'updated_at'] = '{}' then s._doc
                    else sluice.fold_keys(s._doc, '{"id": "id", "body": "body", "slug": "slug", "tags": "tags", "title": "title", "status": "status", "content": "body", "author_id": "author_id", "created_at": "created_at", "updated_at": "updated_at", "published_at": "published_at"}', '{"id": "id", "body": "body", "slug": "slug", "tags": "tags", "title": "title", "status": "status", "content": "body", "author_id": "author_id", "created_at": "created_at", "updated_at": "updated_at", "published_at": "published_at"}')
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
        ((app.word_count_v1(body) >= 10) AND (app.word_count_v1(body) <= 50000)) as check_1,
        ((status <> 'draft'::text) OR (published_at IS NULL)) as check_2,
        ((status <> 'published'::text) OR (published_at IS NOT NULL)) as check_3,
        app.is_kebab_case_v1(slug) as check_4,
        (status = ANY (ARRAY['draft'::text, 'published'::text, 'archived'::text])) as check_5,
        ((length(title) >= 1) AND (length(title) <= 500)) as check_6
    from (select p.id, p.slug, p.title, p.body, p.author_id, p.tags, p.status, p.published_at, p.created_at, p.updated_at) as articles
) as j;

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'id', 'articles_pkey', format('record %s has the same id', k.other), p.id::text
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

-- duplicates
insert into sluice_stage.e_job (_n, _dropped, _error)
select p._n, false, sluice.record_error(
    'duplicate', 'slug', 'articles_slug_unique', format('record %s has the same slug', k.other), p.slug::text
)
from (
    select p.slug as part_1, min(p._n) filter (where p._errors is null) as other
    from sluice_stage.p_job as p
    where p.slug is not null
    group by p.slug
    having count(*) > 1
) as k
inner join sluice_stage.p_job as p on p.slug operator(pg_catalog.=) k.part_1 and p.slug is not null
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
        row(case when p.slug is not null then p.slug else p._t_2 end, case when p.title is not null then p.title else p._t_3 end, case when p.body is not null then p.body else p._t_4 end, case when p.author_id is not null then p.author_id else p._t_5 end, case when p.tags is not null then p.tags else p._t_6 end, case when p.status is not null then p.status else p._t_7 end, case when p._has_8 then p.published_at else p._t_8 end, case when p.updated_at is not null then p.updated_at else p._t_10 end)::record *<> row(p._t_2, p._t_3, p._t_4, p._t_5, p._t_6, p._t_7, p._t_8, p._t_10)::record as _changed,
        case when (
            false
            or p._conflict_2
            or p._via is null and not (p.slug is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "slug"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
            or p._via is null and not (p.title is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "title"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
            or p._via is null and not (p.body is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "body"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
            or p._via is null and not (p.author_id is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "author_id"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
            or p._errors is null and x._n is null and j.late_1 is false and not (p.body is not null) and (p._via is null or p.body is not null)
            or p._errors is null and x._n is null and j.late_2 is false and not (p.status is not null and p._has_8) and (p._via is null or p.status is not null or p._has_8)
            or p._errors is null and x._n is null and j.late_3 is false and not (p.status is not null and p._has_8) and (p._via is null or p.status is not null or p._has_8)
            or p._errors is null and x._n is null and j.late_4 is false and not (p.slug is not null) and (p._via is null or p.slug is not null)
            or p._errors is null and x._n is null and j.late_5 is false and not (p.status is not null) and (p._via is null or p.status is not null)
            or p._errors is null and x._n is null and j.late_6 is false and not (p.title is not null) and (p._via is null or p.title is not null)
        ) is not true then null
        else sluice.present(array[
                case when p._conflict_2
                then sluice.record_error('conflict', 'slug', 'articles_slug_unique', 'belongs to another row than the one that the record matches', p.slug::text) end,
                case when p._via is null and not (p.slug is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "slug"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
                then sluice.record_error('required', 'slug', null, 'must be given for a new row', null) end,
                case when p._via is null and not (p.title is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "title"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
                then sluice.record_error('required', 'title', null, 'must be given for a new row', null) end,
                case when p._via is null and not (p.body is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "body"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
                then sluice.record_error('required', 'body', null, 'must be given for a new row', null) end,
                case when p._via is null and not (p.author_id is not null) and (p._errors is null or not (p._errors @> '[{"code": "malformed"}]' or p._errors @> '[{"field": "author_id"}]' or p._errors @> '[{"field": "id"}]' or p._errors @> '[{"field": "slug"}]'))
                then sluice.record_error('required', 'author_id', null, 'must be given for a new row', null) end,
                case when p._errors is null and x._n is null and j.late_1 is false and not (p.body is not null) and (p._via is null or p.body is not null)
                then sluice.record_error('check', 'body', 'articles_body_words', 'must have 10 to 50,000 words', null) end,
                case when p._errors is null and x._n is null and j.late_2 is false and not (p.status is not null and p._has_8) and (p._via is null or p.status is not null or p._has_8)
                then sluice.record_error('check', 'published_at', 'articles_draft_not_published', 'must be empty when status is draft', null) end,
                case when p._errors is null and x._n is null and j.late_3 is false and not (p.status is not null and p._has_8) and (p._via is null or p.status is not null or p._has_8)
                then sluice.record_error('check', 'published_at', 'articles_published_at_given', 'must be given when status is published', null) end,
                case when p._errors is null and x._n is null and j.late_4 is false and not (p.slug is not null) and (p._via is null or p.slug is not null)
                then sluice.record_error('check', 'slug', 'articles_slug_kebab', 'must be kebab-case: lower-case letters and digits in groups joined by single hyphens', null) end,
                case when p._errors is null and x._n is null and j.late_5 is false and not (p.status is not null) and (p._via is null or p.status is not null)
                then sluice.record_error('check', 'status', 'articles_status_known', 'must be one of draft, published, archived', null) end,
                case when p._errors is null and x._n is null and j.late_6 is false and not (p.title is not null) and (p._via is null or p.title is not null)
                then sluice.record_error('check', 'title', 'articles_title_length', 'must have 1 to 500 characters', null) end
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
            case when k1._found then k1._t_8 when k2._found then k2._t_8 end as _t_8,
            case when k1._found then k1._t_10 when k2._found then k2._t_10 end as _t_10,
            k2._found and (k2.id) is distinct from (coalesce(k1.id, k2.id)) as _conflict_2
        from sluice_stage.p_job as p
        left join (
            select true as _found, id, slug as _t_2, title as _t_3, body as _t_4, author_id as _t_5, tags as _t_6, status as _t_7, published_at as _t_8, updated_at as _t_10, (id) as _part_1
            from app.articles
        ) as k1 on k1._part_1 operator(pg_catalog.=) p.id
        left join (
            select true as _found, id, slug as _t_2, title as _t_3, body as _t_4, author_id as _t_5, tags as _t_6, status as _t_7, published_at as _t_8, updated_at as _t_10, (slug) as _part_1
            from app.articles
        ) as k2 on k2._part_1 operator(pg_catalog.=) p.slug
        where p._n >= $1 and p._n < $2
    ) as p
    left join (select distinct e._n from sluice_stage.e_job as e) as x on p._n = x._n
    cross join lateral (
        select
        ((app.word_count_v1(body) >= 10) AND (app.word_count_v1(body) <= 50000)) as late_1,
        ((status <> 'draft'::text) OR (published_at IS NULL)) as late_2,
        ((status <> 'published'::text) OR (published_at IS NOT NULL)) as late_3,
        app.is_kebab_case_v1(slug) as late_4,
        (status = ANY (ARRAY['draft'::text, 'published'::text, 'archived'::text])) as late_5,
        ((length(title) >= 1) AND (length(title) <= 500)) as late_6
        from (
            select case when p.slug is not null then p.slug when p._via is not null then p._t_2 else null::text end as slug,
            case when p.title is not null then p.title when p._via is not null then p._t_3 else null::text end as title,
            case when p.body is not null then p.body when p._via is not null then p._t_4 else null::text end as body,
            case when p.status is not null then p.status when p._via is not null then p._t_7 else 'draft'::text end as status,
            case when p._has_8 then p.published_at when p._via is not null then p._t_8 else null::timestamp with time zone end as published_at
        ) as o
    ) as j
    offset '0'
    ) as r
    offset '0'
) as r
where r._errors is not null or r._action <> '=' or r._via > 1;

-- fallback_conflicts
insert into sluice_stage.e_job (_n, _dropped, _error)
select greatest(w._n, p._n), false, sluice.record_error(
    'conflict', 'id', 'articles_pkey',
    format('record %s is for the same row', least(w._n, p._n)), null
)
from sluice_stage.w_job as w
inner join (select id, (id) as _part_1 from app.articles) as k on k.id operator(pg_catalog.=) w.id
inner join sluice_stage.p_job as p on k._part_1 operator(pg_catalog.=) p.id and p.id is not null
where w._via > 1 and w._errors is null and w._action is not null
    and p._n <> w._n and p._errors is null
    and not exists (select from sluice_stage.e_job as e where e._n in (w._n, p._n))
    and not exists (select from sluice_stage.w_job as x where x._n = p._n and x._errors is not null);

-- insert
insert into app.articles (
    id, slug, title, body, author_id, tags, status, published_at, created_at, updated_at
)
select
    w.id,
    case when p.slug is not null then p.slug else null end,
    case when p.title is not null then p.title else null end,
    case when p.body is not null then p.body else null end,
    case when p.author_id is not null then p.author_id else null end,
    case when p.tags is not null then p.tags else '{}'::text[] end,
    case when p.status is not null then p.status else 'draft'::text end,
    case when p._has_8 then p.published_at else null end,
    case when p.created_at is not null then p.created_at else now() end,
    case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.p_job as p
inner join sluice_stage.w_job as w on w._n = p._n and w._n >= $1 and w._n < $2
where p._n >= $1 and p._n < $2 and p._errors is null and w._action = 'i'
    and not exists (select from sluice_stage.e_job as e where e._n = p._n and e._n >= $1 and e._n < $2)
order by p._n;

-- update
update app.articles as t
set
    slug = case when p.slug is not null then p.slug else t.slug end,
    title = case when p.title is not null then p.title else t.title end,
    body = case when p.body is not null then p.body else t.body end,
    author_id = case when p.author_id is not null then p.author_id else t.author_id end,
    tags = case when p.tags is not null then p.tags else t.tags end,
    status = case when p.status is not null then p.status else t.status end,
    published_at = case when p._has_8 then p.published_at else t.published_at end,
    updated_at = case when p.updated_at is not null then p.updated_at else now() end
from sluice_stage.w_job as w
inner join sluice_stage.p_job as p on p._n = w._n and p._n >= $1 and p._n < $2
where w._n >= $1 and w._n < $2 and w._action = 'u'
    and not exists (select from sluice_stage.e_job as e where e._n = w._n and e._n >= $1 and e._n < $2)
    and t.id operator(pg_catalog.=) w.id
    and (w._via <> 2 or (t.slug operator(pg_catalog.=) p.slug));

-- sample
select coalesce(jsonb_agg(jsonb_build_object('row', s._n, 'action', 'update', 'before', s.before, 'after', s.after) order by s._n), '[]')
from (
    select w._n,
        (select to_jsonb(x) from (select t.slug, t.title, t.body, t.author_id, t.tags, t.status, t.published_at, t.updated_at) as x) as before,
        (select to_jsonb(x) from (select case when p.slug is not null then p.slug else t.slug end as slug, case when p.title is not null then p.title else t.title end as title, case when p.body is not null then p.body else t.body end as body, case when p.author_id is not null then p.author_id else t.author_id end as author_id, case when p.tags is not null then p.tags else t.tags end as tags, case when p.status is not null then p.status else t.status end as status, case when p._has_8 then p.published_at else t.published_at end as published_at, case when p.updated_at is not null then p.updated_at else t.updated_at end as updated_at) as x) as after
    from sluice_stage.w_job as w
    inner join sluice_stage.p_job as p on p._n = w._n
    inner join app.articles as t on t.id operator(pg_catalog.=) w.id
    where w._action = 'u'
        and not exists (select from sluice_stage.e_job as e where e._n = w._n)
    order by w._n
    limit 20
) as s;
