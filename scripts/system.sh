#!/usr/bin/env bash
# Checks for the programs that come from the system, and installs what is missing when root.
#
#   scripts/system.sh          all of it: what building needs, Chromium, PostgreSQL and nginx for the tests
#   scripts/system.sh build    a C compiler, Python's headers and venv
#   scripts/system.sh web      Node.js and npm
set -euo pipefail

python=${PYTHON:-python3}
packages=()

need() { # need PACKAGE COMMAND...: adds PACKAGE unless the command succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}

has_headers() {
  "$python" -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

has_postgresql() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb
}

has_nginx() { # Debian has it where only root looks
  PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx
}

check_build() {
  need gcc command -v cc
  need python3-venv "$python" -c 'import ensurepip, venv'
  need python3-dev has_headers
}

has_node() { # Vite needs 20.19
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}

check_web() {
  need nodejs has_node
  need npm command -v npm
}

check_tests() {
  need chromium command -v chromium
  need postgresql has_postgresql
  need nginx has_nginx
}

case ${1:-all} in
  build) check_build ;;
  web) check_web ;;
  all) check_build && check_web && check_tests ;;
  *) echo "usage: scripts/system.sh [build|web|all]" >&2 && exit 2 ;;
esac

((${#packages[@]})) || exit 0

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  # The tests start databases and proxies of their own; the packages' services stay as they are.
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  if [[ ${packages[*]} == *nodejs* ]] && ! has_node; then
    echo "this system's Node.js is too old ($(node --version)); install Node.js 20.19 or newer" >&2
    exit 1
  fi
else
  echo "missing: ${packages[*]}" >&2
  echo "install them with: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 1
fi
