-- Quotas: how much of the service one API key may take.

alter table sluice.api_key
add column max_uploads integer check (max_uploads > 0),
add column max_bytes_per_day bigint check (max_bytes_per_day > 0);
comment on column sluice.api_key.max_uploads is 'uploads at once; null: any number';
comment on column sluice.api_key.max_bytes_per_day is
'bytes that its imports (unpacked) and files of exports may store in a day (UTC); null: any number';

create unlogged table sluice.upload (
    upload_id uuid primary key,
    key_id uuid not null references sluice.api_key (key_id),
    heartbeat_at timestamptz not null default clock_timestamp()
);
comment on table sluice.upload is
'Uploads under way of keys with max_uploads, of all processes; a dead one has no heartbeat.';
create index upload_key on sluice.upload (key_id);

create table sluice.quota (
    key_id uuid primary key references sluice.api_key (key_id),
    day date not null,
    bytes bigint not null
);
comment on table sluice.quota is
'What keys with max_bytes_per_day have stored on their latest day.';
