# Sourced by demo, test and check: `environment EXTRAS` makes ready the Python environment that IMPASTO_VENV names
# (.venv otherwise), with impasto and these extras in the tested versions. Installs only what changed since last time.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${IMPASTO_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac

say() { printf '%s\n' "$*" >&2; }

make_venv() {
    local python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        say "impasto needs Python 3.11 or newer, and '$python' is not: set PYTHON=/path/to/python3.11"
        return 1
    fi
    say "Making a virtual environment in $venv"
    if ! "$python" -m venv "$venv"; then
        say "'$python' cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)"
        return 1
    fi
}

environment() {
    local extras=$1 stamp=$venv/impasto-installed state
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    state="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
    # dev holds every extra, so that an environment made for the tests serves the demo too
    if [ -f "$stamp" ] && { [ "$(cat "$stamp")" = "$state [$extras]" ] || [ "$(cat "$stamp")" = "$state [dev]" ]; }; then
        return
    fi
    say "Installing impasto and what it needs (PyTorch is large: a minute or two, more on a slow line)"
    rm -f "$stamp"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check -c "$root/constraints.txt" -e "$root${extras:+[$extras]}"
    printf '%s\n' "$state [$extras]" >"$stamp"
}
