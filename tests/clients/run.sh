#!/usr/bin/env bash
# Installs the real clients and emulators beside this file and runs them against a built gateway:
#
#   tests/clients/run.sh target/debug/ferrogw [pytest arguments]
#   tests/clients/run.sh --direct               the SDK tests without the gateway: proves the tests themselves
set -euo pipefail
test $# -gt 0 || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
test "$1" = --direct || set -- "$(realpath "$1")" "${@:2}"
cd "$here"

# A marker holds what was installed: a second run starts at once.
python=.venv/bin/python
if ! cmp -s requirements.txt .venv/installed.txt; then
  python3 -m venv --clear .venv
  "$python" -m pip install --quiet --disable-pip-version-check --no-input --requirement requirements.txt
  cp requirements.txt .venv/installed.txt
fi
if ! cmp -s package-lock.json node_modules/installed.json; then
  npm ci --no-audit --no-fund --ignore-scripts
  cp package-lock.json node_modules/installed.json
fi
exec "$python" harness.py "$@"
