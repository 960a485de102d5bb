# One image. What it does is its command: api (unless another is named), worker, sender, beat, migrate.
#
#   docker build --tag tunery .
#   docker build --tag tunery --secret id=pip.conf,src=pip.conf .     where packages come from a company's own mirror

FROM python:3.13-slim AS builder

# The environment is made without pip, so that none reaches the final stage.
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock /build/requirements.lock
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip --python /opt/venv/bin/python install \
        --require-hashes --only-binary :all: --compile --requirement /build/requirements.lock

WORKDIR /app
COPY pyproject.toml ./
COPY alembic alembic
COPY api api
COPY cli cli
COPY sandbox sandbox
COPY wire_server wire_server
COPY shared shared
COPY worker worker
# Compiled here because it cannot be there, on a read-only root; unchecked because these files never change again.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app


FROM python:3.13-slim

LABEL org.opencontainers.image.title="Tunery" \
      org.opencontainers.image.description="A fine-tuning platform that a company runs for itself, on OpenAI's wire." \
      org.opencontainers.image.licenses="Apache-2.0"

# A new named volume on /data takes this folder's owner. Nothing else but /tmp is ever written to.
RUN groupadd --gid 10001 tunery \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tunery \
    && install --directory --owner 10001 --group 10001 --mode 0750 /data

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    TUNERY_STORAGE=/data

USER 10001:10001
EXPOSE 8000

# Without urllib, which would send the question to whatever HTTP_PROXY names. It is for the api: a container with another
# command has no port to ask, so switch the check off there (docker-compose.yml does).
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]

ENTRYPOINT ["python", "-m", "cli"]
CMD ["api"]
