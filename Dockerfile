# TK103B Bridge in a container: Python, the locked dependencies, the bridge, and nothing else.
# How to run it: docs/install-container.md. How it is proven: `make image`.

ARG PYTHON=docker.io/library/python:3.14-slim

FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements.lock requirements-run.lock ./
# Wheels only: whatever has none for this machine would need a compiler and unpinned build tools.
# The build backend is pinned in the full lock; it stays behind in this stage.
RUN sed -n '/^flit-core==/,/# via/p' requirements.lock > requirements-build.lock \
 && python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.lock \
 && python -m venv --without-pip /opt/tk103b-bridge \
 && python -m pip --python /opt/tk103b-bridge install --no-cache-dir --require-hashes --only-binary :all: -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY bridge bridge
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m pip --python /opt/tk103b-bridge install --no-cache-dir --no-deps /wheels/*.whl

FROM ${PYTHON}
LABEL org.opencontainers.image.title="TK103B Bridge" \
      org.opencontainers.image.description="GPS trackers of the TK103 family on one port, decoded into MQTT and Home Assistant" \
      org.opencontainers.image.source="https://github.com/tk103b-bridge/tk103b-bridge" \
      org.opencontainers.image.licenses="MIT"
# Journal, list of vehicles and, where there is one, tk103b-bridge.yaml: the only place written to.
RUN groupadd --gid 1000 bridge \
 && useradd --uid 1000 --gid bridge --home-dir /data --no-create-home --shell /usr/sbin/nologin bridge \
 && install --directory --owner=bridge --group=bridge --mode=0700 /data
COPY --from=build /opt/tk103b-bridge /opt/tk103b-bridge
ENV PATH=/opt/tk103b-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TK103B__STORAGE__PATH=/data
USER bridge
WORKDIR /data
VOLUME /data
EXPOSE 8888/tcp 8888/udp
STOPSIGNAL SIGTERM
# Asks the bridge on a socket in /data, without a shell, the broker, or a word on the trackers' port.
# A start may take minutes, where a large journal is examined after a power cut: it is no illness.
HEALTHCHECK --interval=60s --timeout=15s --start-period=10m --retries=3 \
  CMD ["python", "-m", "bridge.healthcheck", "/data"]
ENTRYPOINT ["tk103b-bridge"]
CMD ["run"]
