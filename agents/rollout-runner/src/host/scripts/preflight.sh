# Looks at a host and changes nothing: what is there, how much space is free, what time it is.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    for tool in git flock timeout sha256sum df tar docker; do
        command -v "$tool" >/dev/null || echo "${reeve_mark}missing $tool"
    done
    if [ -d "$directory" ]; then
        echo "${reeve_mark}directory yes"
        if said=$(git -C "$directory" rev-parse --absolute-git-dir 2>&1 >/dev/null); then
            echo "${reeve_mark}repository yes"
        else
            printf '%s\n' "$said" | sed "s/^/${reeve_mark}git /"
        fi
        df -Pk "$directory" | awk -v mark="$reeve_mark" 'NR == 2 {print mark "free-directory " $4}'
    fi
    if root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) && [ "${root#/}" != "$root" ]; then
        echo "${reeve_mark}docker $root"
        df -Pk "$root" 2>/dev/null | awk -v mark="$reeve_mark" 'NR == 2 {print mark "free-docker " $4}'
    else
        echo "${reeve_mark}docker-error $(docker info --format '{{.DockerRootDir}}' 2>&1 | tail -n 1)"
    fi
    if version=$(docker compose version --short 2>/dev/null); then
        echo "${reeve_mark}compose v2 $version"
    elif version=$(docker-compose version --short 2>/dev/null); then
        echo "${reeve_mark}compose v1 $version"
    fi
    echo "${reeve_mark}clock $(date +%s)"
    exit 0
}
