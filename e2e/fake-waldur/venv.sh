#!/bin/sh
# Makes the virtual environment with the upstream agent that the tests in tests/ run, and prints its path; with `rc`,
# that of the newest candidate. It lies in the cache directory and is made once. REEVE_SITE_AGENT_VENV is then to be
# set to it, for the candidate REEVE_SITE_AGENT_RC_VENV.
# usage: venv.sh [rc]
set -eu

case ${1-} in
'') version=1.0.7 ;;
rc) version=1.0.8rc12 ;;
*) echo "usage: $0 [rc]" >&2 && exit 2 ;;
esac
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
