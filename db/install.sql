-- pgsluice: install and upgrade, the same command. Safe to repeat.
--
--     psql -X -v ON_ERROR_STOP=1 -d mydb -f db/install.sql
--
-- `pgsluice migrate` reads this list too and gives the same result (and adds the
-- queue's schema, which only the service and import_submit need).
-- The order matters: a constraint of a migration may call a rule, so rules come first.

\set ON_ERROR_STOP on
\set QUIET on
\encoding UTF8
-- what functions return is nobody's to read here
\o /dev/null
set client_min_messages = warning;

-- The ledger; refuses an old server; waits for another installation to end.
\ir ledger.sql

-- Rules that constraints call. They never change their meaning.
begin;
\ir ../sql/rules/app.sql
commit;

-- Structure: each migration runs once.
\set m 0001_sluice
\ir apply.psql
\set m 0002_app
\ir apply.psql
\set m 0003_later
\ir apply.psql
\set m 0004_keys
\ir apply.psql
\set m 0005_metrics
\ir apply.psql
\set m 0006_metadata
\ir apply.psql
\set m 0007_quotas
\ir apply.psql
\set m 0008_logins
\ir apply.psql
\set m 0009_ahead
\ir apply.psql

-- Functions and views: replaced as a whole on every run.
begin;
\ir ../sql/core/catalog.sql
\ir ../sql/core/error.sql
\ir ../sql/core/caller.sql
\ir ../sql/core/table_spec.sql
\ir ../sql/core/describe.sql
\ir ../sql/core/resource.sql
\ir ../sql/core/options.sql
\ir ../sql/core/header.sql
\ir ../sql/core/header_match.sql
\ir ../sql/core/stage.sql
\ir ../sql/core/spec_fields.sql
\ir ../sql/core/children_spec.sql
\ir ../sql/core/import_spec.sql
\ir ../sql/core/sql_columns.sql
\ir ../sql/core/sql_fields.sql
\ir ../sql/core/sql_faults.sql
\ir ../sql/core/sql_source.sql
\ir ../sql/core/sql_cast.sql
\ir ../sql/core/sql_keys.sql
\ir ../sql/core/sql_duplicates.sql
\ir ../sql/core/sql_late.sql
\ir ../sql/core/sql_match_faults.sql
\ir ../sql/core/sql_todo.sql
\ir ../sql/core/sql_match.sql
\ir ../sql/core/sql_hidden.sql
\ir ../sql/core/sql_list_match.sql
\ir ../sql/core/sql_list_faults.sql
\ir ../sql/core/sql_lists.sql
\ir ../sql/core/sql_merge.sql
\ir ../sql/core/queue.sql
\ir ../sql/core/count.sql
\ir ../sql/core/hold_job.sql
\ir ../sql/core/lease.sql
\ir ../sql/core/login.sql
\ir ../sql/core/cron.sql
\ir ../sql/core/schedule_request.sql
\ir ../sql/core/schedule.sql
\ir ../sql/core/schedule_put.sql
\ir ../sql/core/fire.sql
\ir ../sql/core/delivery.sql
\ir ../sql/core/create_stage.sql
\ir ../sql/core/quota.sql
\ir ../sql/core/receive.sql
\ir ../sql/core/accept.sql
\ir ../sql/core/fault_class.sql
\ir ../sql/core/step_start.sql
\ir ../sql/core/step_cast.sql
\ir ../sql/core/ahead.sql
\ir ../sql/core/keep_rejects.sql
\ir ../sql/core/note_match.sql
\ir ../sql/core/step_match.sql
\ir ../sql/core/match_again.sql
\ir ../sql/core/isolate.sql
\ir ../sql/core/step_merge.sql
\ir ../sql/core/merge_levels.sql
\ir ../sql/core/step_finish.sql
\ir ../sql/core/fence.sql
\ir ../sql/core/move_on.sql
\ir ../sql/core/gate.sql
\ir ../sql/core/carry_out.sql
\ir ../sql/core/claim.sql
\ir ../sql/core/turn.sql
\ir ../sql/core/next_step.sql
\ir ../sql/core/import_now.sql
\ir ../sql/core/fetch.sql
\ir ../sql/core/psql.sql
\ir ../sql/core/sweep.sql

-- The read side: exports, jobs, errors, rejects, resources.
\ir ../sql/core/export_filter.sql
\ir ../sql/core/export_where.sql
\ir ../sql/core/export_order.sql
\ir ../sql/core/export_child.sql
\ir ../sql/core/export_parquet.sql
\ir ../sql/core/export_rows.sql
\ir ../sql/core/export.sql
\ir ../sql/core/export_copy.sql
\ir ../sql/core/export_request.sql
\ir ../sql/core/export_closed.sql
\ir ../sql/core/export_json.sql
\ir ../sql/core/job.sql
\ir ../sql/core/progress.sql
\ir ../sql/core/errors.sql
\ir ../sql/core/error_summary.sql
\ir ../sql/core/rejects.sql
\ir ../sql/core/results.sql
\ir ../sql/core/jobs.sql
\ir ../sql/core/overview.sql
\ir ../sql/core/schedule_json.sql
\ir ../sql/core/webhook.sql
\ir ../sql/core/deliveries.sql
\ir ../sql/core/health.sql
\ir ../sql/core/doctor_server.sql
\ir ../sql/core/doctor_rights.sql
\ir ../sql/core/doctor_work.sql
\ir ../sql/core/doctor.sql
\ir ../sql/core/metrics.sql
\ir ../sql/core/idempotency.sql
\ir ../sql/core/key.sql
\ir ../sql/core/key_limits.sql
\ir ../sql/core/cancel.sql
\ir ../sql/core/retry.sql
\ir ../sql/core/retention.sql
\ir ../sql/core/export_files.sql
\ir ../sql/core/export_work.sql
\ir ../sql/core/export_job.sql
\ir ../sql/core/replica.sql
\ir ../sql/core/link.sql
\ir ../sql/profiles/realworld.sql
\ir ../sql/profiles/nest.sql
\ir ../sql/profiles/profile.sql
\ir ../sql/core/schema.sql
\ir ../sql/core/template.sql

-- The earlier systems: their calls and the shapes of their replies.
\ir ../sql/profiles/users_bulk.sql
\ir ../sql/profiles/import_jobs.sql

-- The resources that ship.
\ir ../sql/resources/app.sql

-- Who may call what.
\ir ../sql/grants.sql
commit;

-- End of the installation: let others in.
do $$
begin
    perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended('pgsluice install', 0));
end
$$;
\o
