#!/usr/bin/env bash
# Pins every dependency, with hashes, from the requirements.in files: `make lock`.
#
#   scripts/lock.sh [--upgrade]      write the requirements.txt files
#   scripts/lock.sh --check          say which of them do not follow from their requirements.in
#
# The library's file is made first and constrains the others, so that all services run on the same versions and
# their images share the layer that holds them. No address of an index is recorded.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv
header="# Made by \`make lock\` from requirements.in; do not edit."

compile() { # compile INPUT OUTPUT [OPTIONS...]
  local input=$1 output=$2
  shift 2
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-header --output-file "$output" "$input" "$@" >/dev/null
  { echo "$header" && cat "$output"; } >"$output.new" && mv "$output.new" "$output"
}

inputs() { echo shared/requirements.in && ls services/*/requirements.in && echo requirements-dev.in; }

if [ "${1:-}" = --check ]; then
  # Resolving again keeps every version that still fits, so that any difference means a forgotten `make lock`.
  failed=0
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp -p --parents $(inputs) $(inputs | sed 's/\.in$/.txt/') "$work" || exit 1
  mkdir -p "$work/scripts" && cp scripts/lock.sh "$work/scripts"
  [ -e .venv ] && ln -s "$PWD/.venv" "$work/.venv"
  (cd "$work" && scripts/lock.sh)
  for input in $(inputs); do
    output=${input%.in}.txt
    cmp -s "$output" "$work/$output" || { echo "$output does not follow from $input: run make lock" >&2 && failed=1; }
  done
  exit "$failed"
fi

for input in $(inputs); do
  output=${input%.in}.txt
  if [ "$input" = shared/requirements.in ]; then compile "$input" "$output" "$@"; else compile "$input" "$output" -c shared/requirements.txt "$@"; fi
done
