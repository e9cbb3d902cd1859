-- What an expert writes in psql for NDJSON of articles: the yardstick of `pgsluice bench`.
-- Bad rows are dropped without a word; of rows with one slug the first one counts.
\set ON_ERROR_STOP on
set jit = off;
set synchronous_commit = on;
begin;
create temporary table incoming (
    n bigint generated always as identity, line jsonb
) on commit drop;
\copy incoming (line) from pstdin with (format csv, quote e'\x01', delimiter e'\x02')
create temporary table typed on commit drop as
select
    n, line ->> 'slug' as slug, line ->> 'title' as title, line ->> 'body' as body,
    app.word_count_v1(line ->> 'body') as words,
    line ->> 'status' as status, line -> 'tags' as tags,
    line ->> 'id' as id, line ->> 'published_at' as published_at,
    case
        when pg_input_is_valid(line ->> 'author_id', 'uuid') then (line ->> 'author_id')::uuid
    end as author_id
from incoming;
analyze typed;
insert into app.articles (id, slug, title, body, author_id, tags, status, published_at)
select distinct on (i.slug)
    coalesce(i.id::uuid, gen_random_uuid()), i.slug, i.title, i.body, i.author_id,
    coalesce(array(select jsonb_array_elements_text(i.tags)), '{}'),
    coalesce(i.status, 'draft'), i.published_at::timestamptz
from typed as i
inner join app.users as u on u.id = i.author_id
where
    app.is_kebab_case_v1(i.slug)
    and length(i.title) >= 1 and length(i.title) <= 500
    and i.words >= 10 and i.words <= 50000
    and (i.status is null or i.status in ('draft', 'published', 'archived'))
    and (i.status <> 'published' or i.published_at is not null)
    and (coalesce(i.status, 'draft') <> 'draft' or i.published_at is null)
    and (i.id is null or pg_input_is_valid(i.id, 'uuid'))
    and (i.published_at is null or pg_input_is_valid(i.published_at, 'timestamptz'))
    and (i.tags is null or jsonb_typeof(i.tags) = 'array')
order by i.slug asc, i.n asc
on conflict (slug) do update set
    title = excluded.title,
    body = excluded.body,
    author_id = excluded.author_id,
    tags = excluded.tags,
    status = excluded.status,
    published_at = excluded.published_at,
    updated_at = now();
commit;
