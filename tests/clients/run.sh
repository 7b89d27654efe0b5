#!/usr/bin/env bash
# Installs the real clients and emulators beside this file and runs them against a built gateway:
#
#   tests/clients/run.sh target/debug/ferrogw [pytest arguments]
#   tests/clients/run.sh --direct               the SDK tests without the gateway: proves the tests themselves
#
# With CLIENTS_LITELLM=1 litellm is asked for its opinion, too, which takes a minute or two to install.
set -euo pipefail
test $# -gt 0 || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
test "$1" = --direct || set -- "$(realpath "$1")" "${@:2}"
cd "$here"

# A marker holds what was installed: a second run starts at once.
environment() { # folder, requirements
  cmp -s "$2" "$1/installed.txt" && return
  python3 -m venv --clear "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --requirement "$2"
  cp "$2" "$1/installed.txt"
}
python=.venv/bin/python
environment .venv requirements.txt
test "${CLIENTS_LITELLM:-}" != 1 || environment .venv-litellm requirements-litellm.txt
if ! cmp -s package-lock.json node_modules/installed.json; then
  npm ci --no-audit --no-fund --ignore-scripts
  cp package-lock.json node_modules/installed.json
fi
exec "$python" harness.py "$@"
