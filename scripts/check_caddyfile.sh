#!/usr/bin/env bash
# Lets Caddy read its configuration as it would at a start, for both ways to get certificates.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The configuration names the CA of the Secrets Manager; for reading it, any certificate will do.
.venv/bin/python - "$work/ca.pem" <<'PYTHON'
import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key, now = Ed25519PrivateKey.generate(), datetime.datetime.now(datetime.UTC)
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "check")])
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, None)
)
with open(sys.argv[1], "wb") as file:
    file.write(certificate.public_bytes(serialization.Encoding.PEM))
PYTHON

for tls in local acme; do
  HOME=$work XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work FOUNTAIN_TRUST_DIR=$work FOUNTAIN_TLS=$tls \
    FOUNTAIN_ACME_EMAIL=somebody@example.com .venv/bin/caddy validate --config caddy/Caddyfile --adapter caddyfile
done
