# Makes staged secrets live, checks the commit out, pulls and starts the project. Runs fenced; carried out twice it
# leaves what it leaves once.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
changes=$(git status --porcelain --untracked-files=no) || exit 10
head=$(git rev-parse HEAD) || exit 10
# An attempt that broke off in the middle of its checkout has left this; the changes are its own then.
if [ -e "$state/checkout" ]; then
    rm -f "$(git rev-parse --absolute-git-dir)/index.lock"
elif [ -n "$changes" ]; then
    printf '%s\n' "$changes" | head -n 5 | sed "s/^/${reeve_mark}changed /"
    exit 11
elif [ "$head" != "$before" ] && [ "$head" != "$commit" ]; then
    echo "${reeve_mark}head $head"
    exit 17
fi
git cat-file -e --end-of-options "$commit^{commit}" || exit 13
# What a checkout would refuse, such as to overwrite a file that Git does not know, is refused before anything is marked as
# ours: from then on it is forced.
if [ ! -e "$state/checkout" ] && [ "$head" != "$commit" ]; then
    git read-tree --dry-run -m -u "$head" "$commit" || exit 15
fi
make_live "$@" || exit 18
if [ "$head" != "$commit" ] || [ -e "$state/checkout" ]; then
    echo "$head $commit" >"$state/checkout"
    git -c gc.auto=0 checkout --quiet --force --detach "$commit" -- || exit 15
    rm -f "$state/checkout"
fi
if [ -n "$pull" ]; then in_project pull --quiet || exit 19; fi
in_project up --detach --build --remove-orphans || exit 20
