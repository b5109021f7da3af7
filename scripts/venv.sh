#!/usr/bin/env bash
# Makes .venv, where this repository's tools live, and brings it to what requirements-dev.txt names.
set -euo pipefail
# It runs before commands whose output is read by programs, as `make -s token`: what it says is not part of that.
exec >&2
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  echo "Python 3.11 or newer is needed, and there is no $python on the PATH. Name another with PYTHON=/path/to/python3."
  exit 69
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Python 3.11 or newer is needed; $python is $("$python" -V). Name another with PYTHON=/path/to/python3."
  exit 69
fi
if [ -L .venv ]; then
  echo ".venv is another folder's, and used as it is."
  touch .venv/.ready
  exit 0
fi
if [ ! -x .venv/bin/python ]; then
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"
    exit 69
  fi
  echo "Making .venv, once ..."
  "$python" -m venv .venv
fi
echo "Installing what requirements-dev.txt names ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt

# The packages of this repository are used from where they lie: a path file, so that no build is needed.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD/shared" >"$site/fountain.pth"
cat >.venv/bin/fountain <<'SCRIPT'
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -m fountain_cli "$@"
SCRIPT
chmod +x .venv/bin/fountain
touch .venv/.ready
