-- What an expert writes in psql for NDJSON of comments: the yardstick of `pgsluice bench`.
-- Bad rows are dropped without a word; of rows with one id the first one counts.
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
    n, line ->> 'body' as body,
    case when pg_input_is_valid(line ->> 'id', 'uuid') then (line ->> 'id')::uuid end as id,
    case
        when pg_input_is_valid(line ->> 'article_id', 'uuid') then (line ->> 'article_id')::uuid
    end as article_id,
    case
        when pg_input_is_valid(line ->> 'user_id', 'uuid') then (line ->> 'user_id')::uuid
    end as user_id
from incoming;
analyze typed;
insert into app.comments (id, article_id, user_id, body)
select distinct on (i.id) i.id, i.article_id, i.user_id, i.body
from typed as i
inner join app.articles as a on a.id = i.article_id
inner join app.users as u on u.id = i.user_id
where
    i.id is not null
    and length(i.body) >= 1 and length(i.body) <= 10000
    and app.word_count_v1(i.body) <= 500
order by i.id asc, i.n asc
on conflict (id) do update set
    article_id = excluded.article_id,
    user_id = excluded.user_id,
    body = excluded.body,
    updated_at = now();
commit;
