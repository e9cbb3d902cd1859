FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir -w /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels pgsluice \
    && useradd --system --uid 10001 --home-dir /nonexistent --no-create-home pgsluice \
    && install -d -o pgsluice /var/lib/pgsluice
USER pgsluice
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["pgsluice"]
CMD ["serve"]
