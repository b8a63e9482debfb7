# Stands in for the image postgres, where no registry of images can be reached: Debian's PostgreSQL, and what that image does
# of its own accord as far as docker-compose.yml relies on it. It builds on MLflow's image for no reason but that it is there.
ARG MLFLOW_IMAGE
FROM ${MLFLOW_IMAGE}
USER 0:0
RUN apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null && \
    rm -rf /var/lib/apt/lists/* /var/lib/postgresql/*/main && \
    ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ && \
    install -d -o postgres -g postgres /var/lib/postgresql/data
COPY postgres.sh /usr/local/bin/entrypoint
ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["sh", "/usr/local/bin/entrypoint"]
