# Fetches, resolves a revision to a commit, and checks the Compose project as it is at that commit. Runs fenced.
# Fetched branches and tags go to refs/reeve/, so that nobody's own are moved.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -oBatchMode=yes}"
# Git before 2.29 does not know this option, and writes FETCH_HEAD always.
case $(git fetch -h 2>&1) in *write-fetch-head*) unnoted=--no-write-fetch-head ;; *) unnoted= ;; esac
fetch() { git -c gc.auto=0 fetch --quiet ${unnoted:+"$unnoted"} "$@"; }
fetch_commit() { fetch --end-of-options "$remote" "$1" 2>/dev/null; }
is_commit() { git cat-file -e --end-of-options "$1^{commit}" 2>/dev/null; }
changes=$(git status --porcelain --untracked-files=no) || exit 10
if [ -n "$changes" ] && [ ! -e "$state/checkout" ]; then
    printf '%s\n' "$changes" | head -n 5 | sed "s/^/${reeve_mark}changed /"
    exit 11
fi
fetch --prune --end-of-options "$remote" '+refs/heads/*:refs/reeve/heads/*' '+refs/tags/*:refs/reeve/tags/*' || exit 12
branch=$(git rev-parse --quiet --verify "refs/reeve/heads/$revision^{commit}")
tag=$(git rev-parse --quiet --verify "refs/reeve/tags/$revision^{commit}")
if [ -n "$branch" ] && [ -n "$tag" ] && [ "$branch" != "$tag" ]; then exit 14; fi
found=${branch:-$tag}
if [ -z "$found" ]; then
    case $revision in
    '' | *[!0-9a-f]*) exit 13 ;;
    esac
    is_commit "$revision" || fetch_commit "$revision" || true
    found=$(git rev-parse --quiet --verify "$revision^{commit}") || exit 13
    # A branch or a tag of the folder's own may have such a name.
    case $found in "$revision"*) ;; *) exit 13 ;; esac
fi
# The commit that another host has found holds as long as it is of this revision here too: a branch may have moved on.
if [ -n "$commit" ] && [ "$commit" != "$found" ]; then
    echo "${reeve_mark}found $found"
    [ -n "$branch" ] || exit 22
    is_commit "$commit" || fetch_commit "$commit" || true
    is_commit "$commit" || exit 22
    git merge-base --is-ancestor --end-of-options "$commit" "$branch" || exit 22
fi
commit=${commit:-$found}
echo "${reeve_mark}commit $commit"
tree=$state/preflight
rm -rf "$tree" && mkdir "$tree" && git archive --end-of-options "$commit" | tar -x -C "$tree" || exit 15
cd "$tree" || exit 15
# Named, because Compose would look for them in the folder of the deployment, where those of the other commit are.
if [ -z "$files" ]; then
    for name in compose.yaml compose.yml docker-compose.yml docker-compose.yaml; do
        [ -e "$name" ] || continue
        files=$tree/$name
        for more in "${name%.*}.override.yml" "${name%.*}.override.yaml"; do
            [ ! -e "$more" ] || files=$files:$tree/$more
        done
        break
    done
fi
# Relative paths, such as those of env_file, mean the folder of the deployment, where secrets are. Files that others include
# are looked for there too, where they are those of the commit before, if any: then everything is looked for here.
fits() { in_project --project-directory "$1" config --quiet >"$state/config.log" 2>&1; }
if [ ! -e .env ] && [ -e "$directory/.env" ]; then ln -s "$directory/.env" .env; fi
if ! fits "$directory" && ! fits "$tree"; then
    # A file with variables may be one of the secrets that are yet to come.
    if ! grep -Eqi "env file .*not found|couldn't find env file" "$state/config.log"; then
        cat "$state/config.log"
        exit 16
    fi
fi
cd / && rm -rf "$tree"
exit 0
