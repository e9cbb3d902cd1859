-- The state of pgsluice: registry, jobs, steps, rejects, idempotency keys.

create schema if not exists sluice;
comment on schema sluice is
'pgsluice: bulk import and export. Functions and views are the contract;
 tables are private to the service and to sluice_operator.';

create schema sluice_stage;
comment on schema sluice_stage is
'Tables of running imports, dropped when their job ends.
 Leave it out of dumps: pg_dump --exclude-table=''sluice_stage.*''.';

create table sluice.resource (
    name text primary key check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    target regclass not null,
    aliases jsonb not null default '{}' check (jsonb_typeof(aliases) = 'object'),
    created_field text,
    updated_field text,
    prejudge boolean not null default false,
    search_path text not null,
    parent text references sluice.resource (name) on delete cascade,
    parent_field text,
    position_field text,
    registered_at timestamptz not null default now(),
    check ((parent is null) = (parent_field is null)),
    check (position_field is null or parent is not null)
);
comment on table sluice.resource is
'A table that is registered for import and export.';
comment on column sluice.resource.target is 'the table; follows its renames';
comment on column sluice.resource.aliases is 'other names of fields: {"content": "body"}';
comment on column sluice.resource.created_field is 'set once; never changed by an update';
comment on column sluice.resource.updated_field is 'becomes now() on a change unless given';
comment on column sluice.resource.prejudge is
'judge CHECK constraints before the write although BEFORE ROW triggers may change the row';
comment on column sluice.resource.search_path is
'the search_path under which the table''s own code (triggers, defaults, rules) runs';
comment on column sluice.resource.parent is 'the resource whose records may carry a list of these';
comment on column sluice.resource.parent_field is 'the column that refers to the parent''s key';
comment on column sluice.resource.position_field is
'the column that is set from the place in the list';

create table sluice.rule (
    resource text not null references sluice.resource (name)
    on update cascade on delete cascade,
    code text not null check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
    field text,
    function text not null,
    message text not null check (message <> ''),
    primary key (resource, code)
);
comment on table sluice.rule is
'Rules of import that are not constraints: functions over the row type that give true or null for
 a good row.';
comment on column sluice.rule.function is
'schema-qualified name, bound late: looked up when a job begins';

create sequence sluice.acceptance;
comment on sequence sluice.acceptance is 'the order in which jobs were accepted';

create table sluice.job (
    job_id uuid primary key,
    kind text not null default 'import' check (kind in ('import', 'export')),
    resource text,
    format text not null check (format in ('csv', 'ndjson', 'json', 'xlsx', 'parquet')),
    file_name text,
    state text not null default 'receiving' check (state in (
        'receiving', 'pending', 'processing', 'completed', 'failed', 'cancelled'
    )),
    phase text check (phase in ('cast', 'match', 'merge', 'finish')),
    outcome text check (outcome in ('clean', 'partial')),
    accepted bigint unique,
    priority text not null default 'normal' check (priority in ('normal', 'interactive')),
    by_psql boolean not null default false,
    header text[],
    shape text not null check (shape in ('cells', 'array', 'names', 'line')),
    options jsonb not null default '{}',
    spec jsonb,
    statements jsonb,
    release text,
    fingerprint text,
    ignored_fields text[] not null default '{}',
    received bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    rejected bigint not null default 0,
    dropped bigint not null default 0,
    unprocessed bigint not null default 0,
    done bigint not null default 0,
    bytes bigint not null default 0,
    metrics jsonb not null default '{}',
    sample jsonb,
    error jsonb,
    sessions integer,
    deadlocks integer not null default 0,
    parent_job_id uuid references sluice.job (job_id) on delete set null,
    created_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    completed_at timestamptz,
    expires_at timestamptz,
    swept boolean not null default false,
    check (state in ('receiving') or resource is not null),
    check ((state in ('completed', 'failed', 'cancelled')) = (completed_at is not null)),
    check ((state = 'completed') = (outcome is not null)),
    check ((state = 'failed') = (error is not null)),
    constraint job_conserves_records check (
        state not in ('completed', 'failed', 'cancelled')
        or received = inserted + updated + unchanged + rejected + dropped + unprocessed
    )
);
comment on table sluice.job is 'One import or export, from its first byte to its expiry.';
comment on constraint job_conserves_records on sluice.job is
'every record of a finished job is accounted for once';
comment on column sluice.job.accepted is 'place in the order of acceptance; null while receiving';
comment on column sluice.job.by_psql is 'begun by import_begin: has no heartbeat, swept after 24 h';
comment on column sluice.job.spec is
'what the registry said when the job was judged (sluice.import_spec)';
comment on column sluice.job.statements is
'the SQL that judges and merges, by name (sluice.explain_import)';
comment on column sluice.job.fingerprint is 'md5 of the spec: which rules judged this job';
comment on column sluice.job.done is 'records that the present phase is through with';
comment on column sluice.job.sample is 'of a dry run: some rows before and after';
comment on column sluice.job.sessions is
'how many sessions may take steps at once; null: any number';
comment on column sluice.job.swept is 'the tables in sluice_stage are gone';

create index job_waits on sluice.job (accepted) where state in ('pending', 'processing');
create index job_waits_of on sluice.job (resource, accepted)
where state = 'pending' and kind = 'import';
create index job_runs on sluice.job (accepted) where state = 'processing';
create index job_receives on sluice.job (heartbeat_at) where state = 'receiving';
create index job_unswept on sluice.job (completed_at) where not swept and completed_at is not null;
create index job_created on sluice.job (created_at desc, job_id desc);
create index job_ended on sluice.job (completed_at) where completed_at is not null;
create index job_of_resource on sluice.job (resource, created_at desc, job_id desc);
create index job_of_kind on sluice.job (kind, created_at desc, job_id desc);
create index job_stopped on sluice.job (state, created_at desc, job_id desc)
where state in ('failed', 'cancelled');
create index job_parent on sluice.job (parent_job_id) where parent_job_id is not null;

create table sluice.step (
    step_id bigint generated always as identity primary key,
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    kind text not null check (kind in ('cast', 'match', 'merge', 'finish')),
    lo bigint not null default 0,
    hi bigint not null default 0,
    state text not null default 'todo' check (state in ('todo', 'done')),
    rows bigint,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    rejected bigint not null default 0,
    attempts integer not null default 0,
    not_before timestamptz,
    finished_at timestamptz
);
comment on table sluice.step is 'One transaction that moves a job forward and records that it did.';
comment on column sluice.step.lo is 'cast: first block of the stage; merge: first record number';
comment on column sluice.step.hi is 'the block or record number behind the last one';
comment on column sluice.step.rows is
'cast: rows written to the plan; merge: rows that the plan must hold for this range';
comment on column sluice.step.inserted is 'rows to insert, and in the end those that were';
comment on column sluice.step.updated is 'rows to update, and in the end those that were';
create index step_todo on sluice.step (job_id, kind, step_id) where state = 'todo';
create index step_job on sluice.step (job_id);

create table sluice.line_break (
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    n bigint not null,
    line bigint not null,
    primary key (job_id, n)
);
comment on table sluice.line_break is
'From record n on, records stand one per line, beginning at this line of the file.';

create table sluice.reject (
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    n bigint not null,
    line bigint,
    cells text[],
    record text,
    malformed boolean not null default false,
    errors jsonb not null check (jsonb_typeof(errors) = 'array'),
    primary key (job_id, n)
);
comment on table sluice.reject is 'A record with errors, kept as sent.';
comment on column sluice.reject.cells is 'CSV: the cells in the order of the header';
comment on column sluice.reject.record is 'JSON: the record; malformed: its raw text';

create table sluice.result (
    job_id uuid not null references sluice.job (job_id) on delete cascade,
    n bigint not null,
    action text not null check (action in ('inserted', 'updated', 'unchanged')),
    key jsonb,
    primary key (job_id, n)
);
comment on table sluice.result is
'Outcome of each good record of a job that asked for results=true.';

create table sluice.idempotency (
    scope text not null,
    key text not null check (length(key) <= 255),
    state text not null default 'receiving' check (state in ('receiving', 'done')),
    job_id uuid references sluice.job (job_id) on delete cascade,
    digest text,
    status integer,
    created_at timestamptz not null default clock_timestamp(),
    beat_at timestamptz not null default clock_timestamp(),
    primary key (scope, key),
    check ((state = 'done') = (job_id is not null and digest is not null))
);
comment on table sluice.idempotency is
'Idempotency-Key of a request:
 https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/';
comment on column sluice.idempotency.scope is 'API key, method and route';
create index idempotency_job on sluice.idempotency (job_id);
