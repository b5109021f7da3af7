#!/usr/bin/env bash
# Everything that can be said about the code without running the platform: `make check`.
# All of it runs, so that one failure does not hide the next.
set -uo pipefail
cd "$(dirname "$0")/.."

bin=.venv/bin
failed=()
skipped=()

step() { # step NAME COMMAND...
  local name=$1 began=$SECONDS output
  shift
  if output=$("$@" 2>&1); then
    printf '  ok    %-34s %3d s\n' "$name" $((SECONDS - began))
  else
    printf '  FAIL  %-34s %3d s\n%s\n' "$name" $((SECONDS - began)) "$output"
    failed+=("$name")
  fi
}

types() { # types FOLDER PATHS...: one package at a time, since several services have a main.py
  local folder=$1
  shift
  MYPYPATH="shared:$folder" "$bin/mypy" --strict --explicit-package-bases "$@"
}

step "lint" "$bin/ruff" check --no-fix .
step "format" "$bin/ruff" format --check .
step "types: shared" types shared shared/fountain_common shared/fountain_cli
for folder in services/*/; do
  name=$(basename "$folder")
  if [ -f "$folder/main.py" ]; then
    step "types: $name" types "$folder" "$folder${name//-/_}" "${folder}main.py" "${folder}entrypoint.py"
  fi
done
step "types: benchmarks" types .:services/secrets-manager:services/notification benchmarks
step "types: scripts" types scripts scripts/*.py
step "types: chaos" types . chaos/*.py
step "migrations" "$bin/python" scripts/check_migrations.py
step "requirements" scripts/lock.sh --check
step "pins" "$bin/python" scripts/check_pins.py
step "licences" "$bin/python" scripts/check_licences.py
step "Dockerfiles" "$bin/hadolint" services/*/Dockerfile caddy/Dockerfile observability/Dockerfile
step "Caddyfile" scripts/check_caddyfile.sh
if docker compose version >/dev/null 2>&1; then
  step "Compose: compose.yaml" docker compose --file compose.yaml config --quiet
  for file in compose.dev.yaml compose.observability.yaml; do
    step "Compose: $file" docker compose --file compose.yaml --file "$file" config --quiet
  done
else
  skipped+=("Compose files (docker compose is not installed)")
fi
for script in scripts/*.sh .ci/run; do step "shell: $script" bash -n "$script"; done

for one in "${skipped[@]+"${skipped[@]}"}"; do printf '  not run: %s\n' "$one"; done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nFailed: %s\n' "${failed[*]}"
  exit 1
fi
echo "All checks passed."
