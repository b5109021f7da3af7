#!/usr/bin/env bash
# Writes what an image build may borrow from this machine, and must not keep: its CA bundle and its package index.
#
#   scripts/build-secrets.sh FOLDER      writes FOLDER/pip.conf and FOLDER/ca.pem
#
# Both are mounted as build secrets, so that neither ends up in a layer. Local folders of wheels are left out:
# a build cannot see them.
set -euo pipefail

folder=${1:?usage: build-secrets.sh FOLDER}
pip=${PIP:-python3 -m pip}
umask 077
mkdir -p "$folder"

ca=
for candidate in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  if [ -n "$candidate" ] && [ -f "$candidate" ]; then ca=$candidate && break; fi
done

setting() { # an option of pip, from the environment or from its configuration files
  local variable="PIP_$(printf %s "$1" | tr 'a-z-' 'A-Z_')"
  if [ -n "${!variable:-}" ]; then printf %s "${!variable}"; else $pip config get "global.$1" 2>/dev/null || true; fi
}

{
  echo "[global]"
  if [ -n "$ca" ]; then echo "cert = /run/secrets/build_ca"; fi
  for option in index-url trusted-host proxy; do
    value=$(setting "$option")
    if [ -n "$value" ]; then printf '%s = %s\n' "$option" "$value"; fi
  done
  extra=$(setting extra-index-url | tr ' ' '\n' | grep -E '^https?://' | tr '\n' ' ' || true)
  if [ -n "$extra" ]; then printf 'extra-index-url = %s\n' "$extra"; fi
} >"$folder/pip.conf"
if [ -n "$ca" ]; then cat "$ca" >"$folder/ca.pem"; else : >"$folder/ca.pem"; fi
