FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
# what was fetched for an earlier build is not fetched again
RUN --mount=type=cache,target=/root/.cache/pip pip wheel -w /wheels .

FROM python:3.13-slim
# The versions are those of the wheels that were built above. Compiled here, once: where the file
# system is read-only each start would do it again, and take three times as long.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels pgsluice \
    && useradd --system --uid 10001 --home-dir /nonexistent --no-create-home pgsluice \
    && install -d -o pgsluice /var/lib/pgsluice
ENV PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 8080
# of a service; a worker has no port, and is seen in bulk_import_export_workers of the metrics
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('SLUICE_PORT', '8080') + '/live', timeout=4)"]
ENTRYPOINT ["pgsluice"]
CMD ["serve"]
