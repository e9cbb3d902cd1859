-- API keys: who asks, what they may do, under which role of the database their work runs.

create table sluice.api_key (
    key_id uuid primary key,
    name text not null unique check (name ~ '^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$'),
    hash bytea not null unique check (octet_length(hash) = 32),
    old_hash bytea unique check (octet_length(old_hash) = 32),
    old_until timestamptz,
    hint text not null,
    scopes text[] not null check (
        scopes <@ '{import,export,admin}' and cardinality(scopes) > 0
    ),
    resources text[] check (cardinality(resources) > 0),
    role text,
    profile text check (profile in ('realworld', 'nest')),
    rate_limit integer check (rate_limit > 0),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    check ((old_hash is null) = (old_until is null))
);
comment on table sluice.api_key is 'Keys of the HTTP API; the key itself is kept nowhere.';
comment on column sluice.api_key.hash is 'sha256 of the key: 244 random bits need no salt';
comment on column sluice.api_key.old_hash is
'of the key before the last rotation, good until old_until';
comment on column sluice.api_key.hint is 'the first characters of the key, to tell keys apart';
comment on column sluice.api_key.resources is 'what the key may touch; null: every resource';
comment on column sluice.api_key.role is
'the database role under which its rows are written and exported; null: the service''s own';
comment on column sluice.api_key.profile is 'the shape of replies; null: the default one';
comment on column sluice.api_key.rate_limit is 'requests a minute; null: SLUICE_RATE_LIMIT';

create unlogged table sluice.rate (
    caller text primary key,
    minute bigint not null,
    requests integer not null
);
comment on table sluice.rate is
'Requests of each caller in the present minute, right across all processes.';

alter table sluice.job
add column key_id uuid default nullif(current_setting('sluice.key', true), '')::uuid
references sluice.api_key (key_id);
comment on column sluice.job.key_id is 'the API key that asked for it; its role writes and reads';
create index job_key on sluice.job (key_id) where key_id is not null;

alter table sluice.schedule
add column key_id uuid default nullif(current_setting('sluice.key', true), '')::uuid
references sluice.api_key (key_id);
comment on column sluice.schedule.key_id is 'the API key that made it, for which its jobs run';
create index schedule_key on sluice.schedule (key_id) where key_id is not null;

create table sluice.link_secret (
    is_only boolean primary key default true check (is_only),
    secret bytea not null check (octet_length(secret) = 32)
);
comment on table sluice.link_secret is
'The secret behind links that carry their own permission, made when first needed.';
