# Whether the lock's line, in $holder, $since and $rest, is of a run of this rollout that has ended: the host was away then,
# and so has it still.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
is_left() {
    [ "$rest" = "$owner" ] || return 1
    case " $ended " in *" $holder "*) return 0 ;; *) return 1 ;; esac
}
