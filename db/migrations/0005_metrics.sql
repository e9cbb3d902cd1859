-- What has been counted since the installation, over all processes; jobs and their rows expire.

create table sluice.job_total (
    kind text not null,
    resource text not null,
    state text not null,
    shard smallint not null,
    jobs bigint not null default 0,
    seconds double precision not null default 0,
    buckets bigint[] not null,
    good bigint not null default 0,
    bad bigint not null default 0,
    primary key (kind, resource, state, shard)
);
comment on table sluice.job_total is 'Jobs that have ended, and their records.';
comment on column sluice.job_total.shard is
'sessions that end jobs at the same time count in rows of their own';
comment on column sluice.job_total.buckets is
'jobs by duration: up to each bound of sluice.job_bounds(), and longer';

create table sluice.http_total (
    method text not null,
    path text not null,
    status integer not null,
    requests bigint not null default 0,
    seconds double precision not null default 0,
    buckets bigint[] not null,
    primary key (method, path, status)
);
comment on table sluice.http_total is 'Requests that were answered, by route.';
comment on column sluice.http_total.path is 'the template of the route: no value of a request';
