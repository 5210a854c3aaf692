#!/bin/sh
# SPDX-License-Identifier: MIT
# The server with what others have made, which no test of `make test` may need: clients of the package index,
# schemathesis over /openapi.json, Chromium on the page, and the load of many and of broken clients.
#
#   tools/test_server.sh load|clients|page|schema|all [ldm-server]
#
# Packages of Python go to an environment of its own, build/server-venv; Chromium is Debian's.
set -eu
cd "$(dirname "$0")/.."
what=${1:?load, clients, page, schema or all}
server=${2:-build/ldm-server}
outside=tests/server/outside
python=build/server-venv/bin/python
seconds=${SCHEMA_SECONDS:-600}

if [ "$what" != load ] && [ ! -x "$python" ]; then
    python3 -m venv build/server-venv
    "$python" -m pip install -q webuiapi openai sd-parsers pillow schemathesis websocket-client axe-core-python
fi

# Schemathesis finds no answer of 500, and no status or body that the description does not know. That a well-formed
# value may be refused (a seed of 10^30, a picture without a recipe) is as it should be, and so is that more is
# taken than is described: other clients send null and digits as texts.
schema() {
    dir=$(mktemp -d)
    "$server" --port 0 --out "$dir/out" --ckpt tests/data/tiny/model.ckpt --config tests/data/tiny/config.yaml \
        --max-work 2e7 --max-count 4 >"$dir/log" &
    pid=$!
    trap 'kill $pid; rm -rf "$dir"' EXIT
    while ! grep -q 'listening on' "$dir/log"; do sleep 0.1; done
    url=$(sed -n 's/.*\(http:[^ ]*\)\/.*/\1/p' "$dir/log")
    build/server-venv/bin/schemathesis run "$url/openapi.json" --max-time "$seconds" \
        --exclude-checks positive_data_acceptance,negative_data_rejection,ensure_resource_availability
    kill -0 "$pid"
}

case $what in
load) python3 "$outside/load.py" "$server" ;;
clients | page)
    [ "$what" = clients ] || tools/install_deps.sh --also chromium
    "$python" "$outside/$what.py" "$server"
    ;;
schema) schema ;;
all) for part in load clients page schema; do "$0" "$part" "$server"; done ;;
*) echo "test_server: no such part: $what" >&2; exit 2 ;;
esac
