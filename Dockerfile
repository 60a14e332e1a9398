# Two stages: the wheel is built with the pinned build tools, and the image holds only what kadence needs to run.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11.14-slim-bookworm
COPY requirements/core.txt /tmp/core.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/core.txt && rm /tmp/core.txt
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl && rm -r /tmp/wheels \
  && useradd --system --no-create-home --uid 10001 kadence
USER kadence
ENV KADENCE_METRICS_HOST=0.0.0.0 \
    KADENCE_METRICS_PORT=9464 \
    PYTHONUNBUFFERED=1
EXPOSE 9464
ENTRYPOINT ["kadence"]
CMD ["worker"]
