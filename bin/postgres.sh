# shellcheck shell=bash
# A temporary PostgreSQL server in $scratch. Sourced, never run.

postgres_data=

as_postgres() {
  # PostgreSQL refuses to run as root.
  if [ "$(id -u)" -eq 0 ]; then (cd "$scratch" && runuser -u postgres -- "$@"); else "$@"; fi
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# start_postgres [OPTION…]: starts the server with these options and sets postgres_url.
start_postgres() {
  local initdb port password data="$scratch/postgres" options
  initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  [ -x "$initdb" ] || initdb=$(command -v initdb)
  postgres_bin=$(dirname "$initdb")

  chmod 755 "$scratch" # for the user of the database

  # A password, because anyone on this machine can reach the port, and its superuser can run commands as the server's user.
  # In clear text on loopback, because SCRAM would cost each connection of an unoptimized build 4096 hashes.
  password=$(node -p 'require("crypto").randomBytes(16).toString("hex")')
  (umask 077 && mkdir "$data" && echo "$password" >"$scratch/password")
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$data" "$scratch/password"; fi
  as_postgres "$postgres_bin/initdb" -D "$data" --username=wheelhouse --auth=password --pwfile="$scratch/password" \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$scratch/initdb.log" 2>&1 || {
    cat "$scratch/initdb.log"
    return 1
  }

  # Another process may take the port first: then try another one.
  for _ in 1 2 3; do
    port=$(free_port)
    options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300"
    options+=" $*"
    postgres_data=$data # from here on, there may be a server to stop
    if as_postgres "$postgres_bin/pg_ctl" -D "$data" -l "$data/log" -o "$options" -w -t 60 start >/dev/null; then
      postgres_url="postgres://wheelhouse:$password@127.0.0.1:$port/postgres"
      echo "$("$postgres_bin/postgres" --version), port $port"
      return
    fi
    cat "$data/log"
  done
  return 1
}

stop_postgres() {
  if [ -n "$postgres_data" ]; then as_postgres "$postgres_bin/pg_ctl" -D "$postgres_data" -m immediate stop >/dev/null 2>&1; fi
}
