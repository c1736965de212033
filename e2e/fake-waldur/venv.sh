#!/bin/sh
# Makes the virtual environment with the upstream agent that the tests in tests/ run, and prints its path.
# It lies in the cache directory and is made once; REEVE_SITE_AGENT_VENV is then to be set to it.
set -eu

version=1.0.7
venv=${REEVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve}/venv-$version

# The mark is written last, so a half-made environment is made anew.
if ! [ -e "$venv/complete" ]; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        "waldur-site-agent==$version" \
        "waldur-site-agent-slurm==$version" \
        "waldur-site-agent-basic-username-management==$version" >&2
    touch "$venv/complete"
fi
echo "$venv"
