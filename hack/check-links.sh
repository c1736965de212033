#!/usr/bin/env bash
# Checks that every relative link in the Markdown pages leads to a file of the checkout, and to a heading where it
# names one. usage: hack/check-links.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

# The anchors of a page's headings, as hosting sites make them.
anchors() { sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9_ -]//g; s/ /-/g'; }

broken=0
while IFS=: read -r page link; do
    path=${link%%#*}
    target=$(realpath --canonicalize-missing "$(dirname "$page")/${path:-$(basename "$page")}")
    if [ ! -e "$target" ]; then
        echo "$page: $link does not exist" >&2
        broken=1
    elif [[ $link == *#* && $target == *.md ]] && ! anchors "$target" | grep -Fx "${link#*#}" >/dev/null; then
        echo "$page: $link names no heading" >&2
        broken=1
    fi
done < <(git ls-files -z --cached --others --exclude-standard '*.md' |
    xargs -0 grep --with-filename --only-matching --perl-regexp '\]\(\K[^)\s]+' | grep -v ':https\?:')
exit "$broken"
