# `just` lists the recipes. They use the virtual environment that `just setup` makes.

bin := ".venv/bin"

@default:
    just --list

# Make the virtual environment with everything for development
setup:
    python3 -m venv .venv
    {{bin}}/pip install -q -e '.[dev]'

# Run the service with its embedded Postgres, with readable logs
serve *args:
    SLUICE_LOG_FORMAT=text {{bin}}/pgsluice serve {{args}}

# Run a system with sample data to look at
demo *args:
    {{bin}}/pgsluice demo {{args}}

# Run a worker alone
worker *args:
    {{bin}}/pgsluice worker {{args}}

# Install or upgrade the schema
migrate:
    {{bin}}/pgsluice migrate

# psql on the service's database
psql *args:
    {{bin}}/pgsluice psql {{args}}

# Run the tests: `just test tests/sql`, `just test --pg 16`
test *args:
    {{bin}}/pytest -q {{args}}

# Linters and types, as .ci/run has them
lint:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/mypy
    {{bin}}/sqlfluff lint --disable-progress-bar sql db

# Put Python and SQL into form
fmt:
    {{bin}}/ruff check --fix .
    {{bin}}/ruff format .
    {{bin}}/sqlfluff fix --disable-progress-bar sql db

# The documentation as a site in build/site; a broken link ends it
docs:
    {{bin}}/sphinx-build -q -W --keep-going -c docs . build/site
    @echo build/site/index.html

# What is made from the source: docs/reference, the settings in README and .env.example
reference:
    PGSLUICE_SNAPSHOTS=write {{bin}}/pytest -q -n 0 tests/reference

# All that CI does
ci:
    .ci/run

# Build the wheel
build:
    {{bin}}/pip wheel -q --no-deps -w dist .

# Postgres, API and worker in containers
up:
    docker compose up --build --detach --wait

# Stop the containers; the data stays
down:
    docker compose down

# Follow the containers' logs
logs:
    docker compose logs --follow
