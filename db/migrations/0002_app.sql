-- The resources that ship with pgsluice.

create schema if not exists app;
comment on schema app is 'The resources that ship with pgsluice.';

create table app.users (
    id uuid primary key default gen_random_uuid(),
    email text not null constraint users_email_unique unique
    constraint users_email_valid check (app.is_email_v1(email)),
    name text not null
    constraint users_name_length check (length(name) >= 1 and length(name) <= 256),
    role text not null constraint users_role_known
    check (role in ('admin', 'manager', 'author', 'editor', 'reader')),
    active boolean not null default true,
    metadata jsonb not null default '{}'
    constraint users_metadata_object check (jsonb_typeof(metadata) = 'object'),
    phone text,
    external_id text constraint users_external_id_unique unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table app.users is 'People who write and read.';
comment on constraint users_email_valid on app.users is
'must be an e-mail address whose domain has a dot, such as ann@example.com';
comment on constraint users_name_length on app.users is 'must have 1 to 256 characters';
comment on constraint users_role_known on app.users is
'must be one of admin, manager, author, editor, reader';
comment on constraint users_metadata_object on app.users is 'must be a JSON object';

create table app.addresses (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references app.users (id) on delete cascade,
    position integer not null default 1
    constraint addresses_position_positive check (position > 0),
    label text,
    street text not null
    constraint addresses_street_length check (length(street) >= 1 and length(street) <= 500),
    city text not null
    constraint addresses_city_length check (length(city) >= 1 and length(city) <= 200),
    postal_code text,
    country text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index addresses_user on app.addresses (user_id, position);
comment on table app.addresses is 'Postal addresses of a user, in the order of position.';
comment on constraint addresses_position_positive on app.addresses is 'must be 1 or more';
comment on constraint addresses_street_length on app.addresses is 'must have 1 to 500 characters';
comment on constraint addresses_city_length on app.addresses is 'must have 1 to 200 characters';

create table app.articles (
    id uuid primary key default gen_random_uuid(),
    slug text not null constraint articles_slug_unique unique
    constraint articles_slug_kebab check (app.is_kebab_case_v1(slug)),
    title text not null
    constraint articles_title_length check (length(title) >= 1 and length(title) <= 500),
    body text not null constraint articles_body_words
    check (app.word_count_v1(body) >= 10 and app.word_count_v1(body) <= 50000),
    author_id uuid not null references app.users (id),
    tags text[] not null default '{}',
    status text not null default 'draft' constraint articles_status_known
    check (status in ('draft', 'published', 'archived')),
    published_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint articles_published_at_given
    check (status <> 'published' or published_at is not null),
    constraint articles_draft_not_published
    check (status <> 'draft' or published_at is null)
);
create index articles_author on app.articles (author_id);
comment on table app.articles is 'Texts with an author.';
comment on constraint articles_slug_kebab on app.articles is
'must be kebab-case: lower-case letters and digits in groups joined by single hyphens';
comment on constraint articles_title_length on app.articles is 'must have 1 to 500 characters';
comment on constraint articles_body_words on app.articles is 'must have 10 to 50,000 words';
comment on constraint articles_status_known on app.articles is
'must be one of draft, published, archived';
comment on constraint articles_published_at_given on app.articles is
'must be given when status is published';
comment on constraint articles_draft_not_published on app.articles is
'must be empty when status is draft';

create table app.comments (
    id uuid primary key default gen_random_uuid(),
    article_id uuid not null references app.articles (id) on delete cascade,
    user_id uuid not null references app.users (id),
    body text not null
    constraint comments_body_length check (length(body) >= 1 and length(body) <= 10000)
    constraint comments_body_words check (app.word_count_v1(body) <= 500),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index comments_article on app.comments (article_id);
create index comments_user on app.comments (user_id);
comment on table app.comments is 'Remarks of users on articles.';
comment on constraint comments_body_length on app.comments is 'must have 1 to 10,000 characters';
comment on constraint comments_body_words on app.comments is 'must have at most 500 words';
