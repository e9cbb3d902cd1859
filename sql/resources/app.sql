-- The resources that ship: one line each.

select sluice.register(
    'users', 'app.users', created_field => 'created_at', updated_field => 'updated_at',
    search_path => 'app'
);
select sluice.register(
    'addresses', 'app.addresses', created_field => 'created_at', updated_field => 'updated_at',
    parent => 'users', parent_field => 'user_id', position_field => 'position',
    search_path => 'app'
);
select sluice.register(
    'articles', 'app.articles', aliases => '{"content": "body"}',
    created_field => 'created_at', updated_field => 'updated_at', search_path => 'app'
);
select sluice.register(
    'comments', 'app.comments', created_field => 'created_at', updated_field => 'updated_at',
    search_path => 'app'
);
