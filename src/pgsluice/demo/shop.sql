-- A table as a DBA has it; its comments are what people read when a record breaks a rule.
create schema if not exists shop;

create table if not exists shop.products (
    sku text primary key constraint sku_form check (sku ~ '^[A-Z]{3}-[0-9]+$'),
    title text not null constraint title_given check (title <> ''),
    price numeric(10, 2) not null constraint price_positive check (price > 0),
    on_sale boolean not null default false,
    updated_at timestamptz not null default now()
);

comment on table shop.products is 'What the shop sells: a table of its own, one call to register.';
comment on constraint sku_form on shop.products is 'must look like ABC-123';
comment on constraint title_given on shop.products is 'must not be empty';
comment on constraint price_positive on shop.products is 'must be more than 0';

select sluice.register(
    'products', 'shop.products', aliases => '{"article": "title"}', updated_field => 'updated_at'
);
