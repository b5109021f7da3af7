#!/usr/bin/env bash
# Everything that can be said of the code without running it: `make check`. Goes on after a failure, to name them all.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
failed=()

step() { # step NAME COMMAND...
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    printf '  ok      %s\n' "$name"
  else
    printf '  FAILED  %s\n%s\n' "$name" "$output"
    failed+=("$name")
  fi
}

types() { # types PATH_OF_IMPORTS TARGETS...
  local path=$1
  shift
  MYPYPATH=$path "$bin/mypy" --no-error-summary "$@"
}

caddyfile() { # caddyfile TLS DOMAIN: provisions every module, as a start would
  local trust
  trust=$(mktemp -d)
  "$bin/python" -c 'import pathlib, sys; from benchmarks.certificates import self_signed; self_signed(pathlib.Path(sys.argv[1]))' "$trust" &&
    mv "$trust/certificate.pem" "$trust/ca.pem" &&
    FOUNTAIN_DOMAIN=$2 FOUNTAIN_TLS=$1 FOUNTAIN_ACME_EMAIL=ops@example.org FOUNTAIN_TRUST_DIR=$trust \
      XDG_DATA_HOME=$trust XDG_CONFIG_HOME=$trust "$bin/caddy" validate --config caddy/Caddyfile --adapter caddyfile
  local status=$?
  rm -rf "$trust"
  return "$status"
}

step "ruff: lint" "$bin/ruff" check --no-cache .
step "ruff: format" "$bin/ruff" format --no-cache --check .
step "types: the library" types shared shared/fountain_common shared/fountain_cli
for service in services/*/; do
  name=$(basename "$service")
  step "types: $name" types "shared:$service" "$service${name//-/_}" "${service}main.py" "${service}entrypoint.py"
done
step "types: benchmarks and scripts" types shared:. benchmarks scripts
if command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
  step "compose.yaml" docker compose --file compose.yaml config --quiet
  step "compose.dev.yaml" docker compose --file compose.yaml --file compose.dev.yaml config --quiet
  step "compose.observability.yaml" docker compose --file compose.yaml --file compose.observability.yaml config --quiet
else
  printf '  not run compose files: Docker Compose is not installed here\n'
fi
step "Caddyfile: local certificates" caddyfile local fountain.localhost
step "Caddyfile: public certificates" caddyfile acme fountain.coach
step "Dockerfiles" "$bin/hadolint" --ignore DL3008 --ignore DL3013 services/*/Dockerfile caddy/Dockerfile observability/Dockerfile
step "locked requirements" scripts/lock.sh --check
step "shell scripts" bash -n scripts/*.sh .ci/run

if [ ${#failed[@]} -gt 0 ]; then
  printf '\n%d of the checks failed: %s\n' "${#failed[@]}" "$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
printf '\nEverything is in order.\n'
