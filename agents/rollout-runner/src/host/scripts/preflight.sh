# Looks at a host and changes nothing: what is there, how much space is free, what time it is.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    for tool in git flock timeout sha256sum df tar docker; do
        command -v "$tool" >/dev/null || echo "reeve: missing $tool"
    done
    if [ -d "$directory" ]; then
        echo "reeve: directory yes"
        git -C "$directory" rev-parse --absolute-git-dir >/dev/null 2>"${TMPDIR:-/tmp}/reeve.$$" && echo "reeve: repository yes"
        sed 's/^/reeve: git /' "${TMPDIR:-/tmp}/reeve.$$" && rm -f "${TMPDIR:-/tmp}/reeve.$$"
        df -Pk "$directory" | awk 'NR == 2 {print "reeve: free-directory " $4}'
    fi
    if root=$(docker info --format '{{.DockerRootDir}}' 2>&1) && [ "${root#/}" != "$root" ]; then
        echo "reeve: docker $root"
        df -Pk "$root" 2>/dev/null | awk 'NR == 2 {print "reeve: free-docker " $4}'
    else
        echo "reeve: docker-error $(printf '%s' "$root" | tail -n 1)"
    fi
    if version=$(docker compose version --short 2>/dev/null); then
        echo "reeve: compose v2 $version"
    elif version=$(docker-compose version --short 2>/dev/null); then
        echo "reeve: compose v1 $version"
    fi
    echo "reeve: clock $(date +%s)"
    exit 0
}
