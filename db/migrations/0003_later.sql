-- All that runs later: fetched sources, exports to files, schedules, webhooks, what expires.

alter table sluice.job
alter column shape drop not null,
alter column format drop not null,
drop constraint job_phase_check,
add constraint job_phase_check check (
    phase in ('fetch', 'cast', 'match', 'merge', 'finish')
),
add column source jsonb check (jsonb_typeof(source) = 'object'),
add column worker text,
add column attempts integer not null default 0,
add column not_before timestamptz,
add column callback_url text,
add column schedule text,
add column tries integer not null default 0,
add column claimed_at timestamptz,
add column keeps_stage boolean not null default false,
add column exported bigint not null default 0,
add column snapshot jsonb;
comment on column sluice.job.phase is
'while it runs: fetch (still pending: its file is on its way here), cast, match, merge';
comment on column sluice.job.source is 'where the file is fetched from: url, source_path or object';
comment on column sluice.job.format is
'null: told by what will be fetched';
comment on column sluice.job.worker is 'who fetches or exports it (sluice.worker); null: nobody';
comment on column sluice.job.attempts is
'how often a worker has taken it to fetch or export it; also the token of that lease. While an
 import is judged: how often its way to the next phase has failed';
comment on column sluice.job.not_before is 'when it may be taken again after a failure';
comment on column sluice.job.tries is
'how often a session has begun to take an import to its next phase, since it last got there';
comment on column sluice.job.claimed_at is 'when the last of them said so';
comment on column sluice.job.keeps_stage is
'ended short of its end: its stage is kept for sluice.retry_job, until sluice.stage_ttl';
comment on column sluice.job.callback_url is 'is told when the job has ended';
comment on column sluice.job.schedule is 'the schedule whose tick made it; it may be gone since';
comment on column sluice.job.snapshot is
'export: the time and the WAL position just before its snapshot was taken';
create index job_leases on sluice.job (accepted)
where state in ('pending', 'processing') and (kind = 'export' or phase = 'fetch');
create index job_pauses on sluice.job (not_before)
where state in ('pending', 'processing') and not_before is not null;
create index job_of_schedule on sluice.job (schedule)
where schedule is not null and completed_at is null;
create index job_expires on sluice.job (expires_at) where expires_at is not null;
create index job_stages on sluice.job (completed_at) where keeps_stage;
create index idempotency_receives on sluice.idempotency (beat_at) where state = 'receiving';

alter table sluice.step
add column tries integer not null default 0,
add column worker text,
add column claimed_at timestamptz;
comment on column sluice.step.attempts is 'failures that the step itself told of';
comment on column sluice.step.tries is
'how often a session has begun it: more than it has told of if sessions or workers died over it';
comment on column sluice.step.worker is 'whose session took it last';
comment on column sluice.step.claimed_at is
'when it said so; the step is that session''s for 2 s, then as long as its transaction lasts';

create table sluice.export_file (
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    place integer not null,
    resource text,
    name text not null,
    path text not null unique,
    rows bigint not null,
    bytes bigint not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    content_type text not null,
    expires_at timestamptz not null,
    removed boolean not null default false,
    primary key (job_id, place)
);
comment on table sluice.export_file is 'A finished file of an export, in the file store.';
comment on column sluice.export_file.resource is 'null: an archive of several';
comment on column sluice.export_file.name is 'under which it is downloaded';
comment on column sluice.export_file.path is 'in the store';
comment on column sluice.export_file.removed is
'it has expired, and is out of the store or soon will be';
create index export_file_expires on sluice.export_file (expires_at) where not removed;

create table sluice.stale_file (
    path text primary key,
    since timestamptz not null default clock_timestamp()
);
comment on table sluice.stale_file is
'Files of the store that nobody needs any more; a worker removes them, then their rows.';

create table sluice.schedule (
    name text primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    cron text not null,
    time_zone text not null default 'UTC',
    kind text not null check (kind in ('import', 'export')),
    request jsonb not null check (jsonb_typeof(request) = 'object'),
    missed text not null default 'once' check (missed in ('once', 'skip')),
    paused boolean not null default false,
    next_at timestamptz,
    last_at timestamptz,
    last_job_id uuid references sluice.job (job_id) on delete set null,
    last_error text,
    created_at timestamptz not null default clock_timestamp()
);
comment on table sluice.schedule is 'Imports and exports that begin by the clock.';
comment on column sluice.schedule.request is 'what would be posted to imports or exports';
comment on column sluice.schedule.missed is
'ticks that passed while no worker ran: once runs one job for all of them, skip none';
comment on column sluice.schedule.last_error is 'why the last tick made no job';
create index schedule_due on sluice.schedule (next_at) where not paused;
create index schedule_job on sluice.schedule (last_job_id) where last_job_id is not null;

create table sluice.tick (
    schedule text not null references sluice.schedule (name) on update cascade on delete cascade,
    due_at timestamptz not null,
    fired_at timestamptz not null default clock_timestamp(),
    worker text,
    job_id uuid references sluice.job (job_id) on delete set null,
    error text,
    primary key (schedule, due_at)
);
comment on table sluice.tick is
'The newest ticks of each schedule: each is fired once, however many workers.';
comment on column sluice.tick.error is 'why it made no job';
create index tick_job on sluice.tick (job_id) where job_id is not null;

create table sluice.delivery (
    delivery_id uuid primary key,
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    url text not null,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0,
    forgiven integer not null default 0,
    not_before timestamptz not null default clock_timestamp(),
    worker text,
    taken_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
comment on table sluice.delivery is
'A finished job on its way to its callback_url (https://www.standardwebhooks.com).';
comment on column sluice.delivery.forgiven is
'attempts that no longer count, since somebody asked to deliver it again';
comment on column sluice.delivery.taken_at is 'by its worker; null: nobody is at it';
create index delivery_due on sluice.delivery (not_before) where state = 'pending';
create index delivery_job on sluice.delivery (job_id);

create table sluice.delivery_attempt (
    delivery_id uuid not null references sluice.delivery (delivery_id) on delete cascade,
    attempt integer not null,
    at timestamptz not null default clock_timestamp(),
    status integer,
    error text,
    duration_ms integer,
    primary key (delivery_id, attempt)
);
comment on table sluice.delivery_attempt is
'One try to deliver: what the other side replied, or why not.';

create table sluice.webhook_secret (
    is_only boolean primary key default true check (is_only),
    secret text not null
);
comment on table sluice.webhook_secret is
'The secret that signs webhooks, made when first needed; SLUICE_WEBHOOK_SECRET wins over it.';
