//! How long ago, as kubectl says it: two units at most, the second only while the first is small.

use jiff::Timestamp;

/// The time between `then`, in RFC 3339, and `now`: `42s`, `5m`, `3h20m`, `12d`. Empty when `then` is no time; `0s`
/// when it is in the future, because clocks differ.
pub(crate) fn age(then: &str, now: Timestamp) -> String {
    let Ok(then) = then.parse::<Timestamp>() else {
        return String::new();
    };
    let seconds = now.duration_since(then).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit, small: i64, small_unit| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let then = "2026-01-01T00:00:00Z";
        let start: Timestamp = then.parse().expect("a time");
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (245, "4m5s"),
            (3_600, "60m"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (8_640_000, "100d"),
            (86_400 * 800, "2y70d"),
        ] {
            let now = start + jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(then, now), text);
        }
        assert_eq!(age("", start), "");
    }
}
