# One image for the servers. What it does is its command: api (unless another is named), worker, sender, beat, migrate.
#
#   docker build --tag tunery .
#   docker build --tag tunery --build-arg VERSION=$(./tunery --version) .     a release, whose label says which
#   docker build --tag tunery-trainer --target trainer .              the trainer too, with PyTorch for CPUs
#   docker build --tag tunery-trainer --target trainer --build-arg TORCH_BACKEND=cu130 .     … for CUDA 13.0
#   docker build --tag tunery-trainer --target trainer --build-arg TORCH_BACKEND=pip .       … the build that pip's index has
#   docker build --tag tunery-trainer-ray --target trainer-ray .      … and Ray, for the machines of a cluster
#   docker build --tag tunery --secret id=pip.conf,src=pip.conf .     where packages come from a company's own mirror

FROM python:3.13-slim AS builder

# The environment is made without pip, so that none reaches the final stage.
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock requirements-postgres.lock /build/
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip --python /opt/venv/bin/python install \
        --require-hashes --only-binary :all: --compile --requirement /build/requirements.lock \
        --requirement /build/requirements-postgres.lock

WORKDIR /app
COPY pyproject.toml ./
COPY alembic alembic
COPY api api
COPY cli cli
COPY sandbox sandbox
COPY wire_server wire_server
COPY shared shared
COPY trainer trainer
COPY worker worker
# Compiled here because it cannot be there, on a read-only root; unchecked because these files never change again.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app


FROM python:3.13-slim AS trainer-builder

# PyTorch's own wheels bring CUDA's libraries, so the image is the same for CPUs and GPUs; the host has the driver. They
# come from PyTorch's own index, which uv picks. uv does not read pip.conf: where that index cannot be reached, `pip` takes
# the build that pip's index has, as `trainer setup --torch-backend pip` does.
ARG TORCH_BACKEND=cpu
COPY requirements-trainer.lock /build/requirements-trainer.lock
COPY --from=builder /app/cli/requirements-uv.lock /build/requirements-uv.lock
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip install --require-hashes --requirement /build/requirements-uv.lock \
    && python -m venv --without-pip /opt/trainer-env \
    && pip --python /opt/trainer-env/bin/python install --compile \
        --require-hashes --no-deps --only-binary :all: --requirement /build/requirements-trainer.lock \
    && if [ "$TORCH_BACKEND" = pip ]; then \
        pip --python /opt/trainer-env/bin/python install --compile torch==2.13.0; \
    else \
        uv pip install --python /opt/trainer-env/bin/python --link-mode copy --compile-bytecode \
            --torch-backend "$TORCH_BACKEND" torch==2.13.0; \
    fi


FROM python:3.13-slim AS server

ARG VERSION=unreleased
LABEL org.opencontainers.image.title="Tunery" \
      org.opencontainers.image.version="$VERSION" \
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

# No image says that it is another version than it is.
RUN test "$VERSION" = unreleased || test "$VERSION" = "$(python -m cli --version)"

USER 10001:10001
EXPOSE 8000

# Without urllib, which would send the question to whatever HTTP_PROXY names. It is for the api: a container with another
# command has no port to ask, so switch the check off there (docker-compose.yml does).
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]

ENTRYPOINT ["python", "-m", "cli"]
CMD ["api"]


FROM server AS trainer

COPY --from=trainer-builder /opt/trainer-env /opt/trainer-env

ENV TRAINER_HOST=0.0.0.0 \
    TRAINER_PORT=8791 \
    TRAINER_FOLDER=/data \
    TRAINER_PYTHON=/opt/trainer-env/bin/python \
    HF_HOME=/tmp/huggingface

EXPOSE 8791
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "trainer"]
CMD []


FROM python:3.13-slim AS ray-builder

COPY requirements-ray.lock /build/requirements-ray.lock
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/ray \
    && pip --python /opt/ray/bin/python install \
        --require-hashes --only-binary :all: --compile --requirement /build/requirements-ray.lock


FROM trainer AS trainer-ray

COPY --from=ray-builder /opt/ray /opt/ray

# Ray comes last, so that `python` stays the servers'. The command of a machine is `ray start …`; in Kubernetes KubeRay writes it.
ENV PATH=$PATH:/opt/ray/bin \
    RAY_USAGE_STATS_ENABLED=0

ENTRYPOINT []
CMD ["ray", "--help"]


# The last one is what is built where no target is named.
FROM server
