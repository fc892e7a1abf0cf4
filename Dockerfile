# syntax=docker/dockerfile:1
# Wirewatch in one image; what a container does is its command: `worker`, `connect rss`...
# The version of Python that the tests run on.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/wirewatch
WORKDIR /src
# Before the sources: a changed line of code does not fetch the dependencies again.
COPY requirements-runtime.lock ./
RUN /opt/wirewatch/bin/pip install --require-hashes -r requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY connectors connectors
COPY streams streams
COPY mappings mappings
COPY console console
RUN /opt/wirewatch/bin/pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/wirewatch/bin/pip install --no-deps /wheels/*.whl \
    && /opt/wirewatch/bin/python -m compileall -q /opt/wirewatch/lib

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Wirewatch" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /srv/wirewatch --shell /usr/sbin/nologin wirewatch \
    && install -d -o wirewatch -m 0700 /srv/wirewatch/data \
    && install -d -o wirewatch /srv/wirewatch/radio
COPY --from=build /opt/wirewatch /opt/wirewatch
# The configuration that ships; mount your own over it.
COPY wirewatch.toml /srv/wirewatch/
ENV PATH=/opt/wirewatch/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv/wirewatch
USER wirewatch
ENTRYPOINT ["wirewatch"]
CMD ["--help"]
