-- The resources that ship: one line each. Whoever has registered another table under one of these
-- names keeps it.

select sluice.register(
    'users', 'app.users', created_field => 'created_at', updated_field => 'updated_at',
    search_path => 'app'
)
where not exists (
    select from sluice.resource as r where r.name = 'users' and r.target <> 'app.users'::regclass
);
select sluice.register(
    'addresses', 'app.addresses', created_field => 'created_at', updated_field => 'updated_at',
    parent => 'users', parent_field => 'user_id', position_field => 'position',
    search_path => 'app'
)
where exists (
    select from sluice.resource as r where r.name = 'users' and r.target = 'app.users'::regclass
)
and not exists (
    select from sluice.resource as r
    where r.name = 'addresses' and r.target <> 'app.addresses'::regclass
);
select sluice.register(
    'articles', 'app.articles', aliases => '{"content": "body"}',
    created_field => 'created_at', updated_field => 'updated_at', search_path => 'app'
)
where not exists (
    select from sluice.resource as r
    where r.name = 'articles' and r.target <> 'app.articles'::regclass
);
select sluice.register(
    'comments', 'app.comments', created_field => 'created_at', updated_field => 'updated_at',
    search_path => 'app'
)
where not exists (
    select from sluice.resource as r
    where r.name = 'comments' and r.target <> 'app.comments'::regclass
);
