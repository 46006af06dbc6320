# Sourced by the other scripts: puts .venv/ of the repository root on the PATH.
# shellcheck shell=bash

find_python() {
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "Python 3.11, 3.12 or 3.13 is needed; install it or set PYTHON=/path/to/python" >&2
    return 1
}

# install_debian PACKAGE...: install what is missing, with sudo unless root.
install_debian() {
    local package missing=() as_root=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "Installing Debian packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

create_environment() {
    local python
    if [ ! -x .venv/bin/pip ]; then
        python=$(find_python)
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            install_debian "$(basename "$(readlink -f "$python")")-venv"
        fi
        echo "Creating .venv with $("$python" --version)"
        "$python" -m venv .venv
    fi
    export PATH="$PWD/.venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
}

# install_lock FILE: install a lock file unless this environment already has it.
install_lock() {
    local stamp=".venv/$1.installed"
    cmp -s "$1" "$stamp" && return
    echo "Installing the packages of $1 (a few minutes the first time)"
    pip install -qq -c constraints.txt -r "$1"
    cp "$1" "$stamp"
}

install_facetgrade() {
    local stamp=".venv/pyproject.toml.installed"
    cmp -s pyproject.toml "$stamp" && return
    pip install -qq --no-deps --editable .
    cp pyproject.toml "$stamp"
}
