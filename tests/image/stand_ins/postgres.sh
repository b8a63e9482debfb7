# As root: makes the data folder postgres's own and goes on as postgres. Makes a cluster with POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB if there is none, and becomes the server.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown postgres: "$PGDATA" && chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups sh "$0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --auth scram-sha-256 --pwfile /tmp/password
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    # Without TCP, as there, so that nobody takes it for ready.
    pg_ctl start --wait --options "-c listen_addresses=''"
    PGPASSWORD=$POSTGRES_PASSWORD createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl stop --wait
fi
exec postgres -c listen_addresses='*'
