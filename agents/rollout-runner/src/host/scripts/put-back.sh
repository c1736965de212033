# Puts previous secrets and the previous commit back and starts the project. Runs fenced and is idempotent.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
restore "$state/runs/$undoes/previous" "$@" || exit 18
git cat-file -e --end-of-options "$commit^{commit}" || exit 13
if [ -e "$state/checkout" ]; then
    rm -f "$(git rev-parse --absolute-git-dir)/index.lock"
    git -c gc.auto=0 checkout --quiet --force --detach "$commit" -- || exit 15
    rm -f "$state/checkout"
elif [ "$(git rev-parse HEAD)" != "$commit" ]; then
    git -c gc.auto=0 checkout --quiet --detach "$commit" -- || exit 15
fi
# What ran before is usually there still; a registry that is away must not keep us from going back.
if [ -n "$pull" ]; then in_project pull --quiet || echo 'images could not be pulled; going on with those that are there'; fi
in_project up --detach --build --remove-orphans || exit 20
