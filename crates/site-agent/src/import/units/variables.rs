//! Environment variables: what upstream reads of them (its own modules, Sentry's and APM's libraries, the HTTP and
//! WebSocket clients), and where it is said here.

use reeve_api_types::{Duration, FieldPath, Reason};

use crate::{
    Intervals, Mode, Site,
    import::log::{At, Log, RemarkKind},
};

/// The variables that hold a period, in minutes.
const PERIODS: [(&str, Mode); 4] = [
    ("WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES", Mode::Orders),
    (
        "WALDUR_SITE_AGENT_MEMBERSHIP_SYNC_PERIOD_MINUTES",
        Mode::Membership,
    ),
    ("WALDUR_SITE_AGENT_REPORT_PERIOD_MINUTES", Mode::Reports),
    ("WALDUR_SITE_AGENT_RECONCILIATION_PERIOD_MINUTES", Mode::Events),
];

/// The mode whose period `name` sets.
pub(super) fn period_of(name: &str) -> Option<Mode> {
    PERIODS
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, mode)| mode)
}

/// Sets the interval of `mode` from a variable.
pub(super) fn period(log: &mut Log, site: &mut Site, mode: Mode, value: &str, at: &At) {
    let (field, target) = interval(&mut site.intervals, mode);
    let path = FieldPath::new("spec").field("intervals").field(field);
    log.origins.note(&path, at);
    match minutes(value, mode) {
        Ok(Minutes::Seconds(seconds)) => *target = Duration::from_secs(seconds),
        Ok(Minutes::Whole(minutes)) => *target = Duration::from_mins(minutes),
        Ok(Minutes::EachTick) => {
            let message = "is less than a minute, and the agent wakes once a minute: written as 1m";
            log.remark(at, RemarkKind::Differs, message);
            *target = Duration::from_mins(1);
        }
        Ok(Minutes::Rounded(seconds)) => {
            log.remark(
                at,
                RemarkKind::Differs,
                format!("is written as {seconds}s, the nearest whole second"),
            );
            *target = Duration::from_secs(seconds);
        }
        Err(remedy) => log.refuse(at, Reason::InvalidValue, remedy),
    }
}

fn interval(intervals: &mut Intervals, mode: Mode) -> (&'static str, &mut Duration) {
    match mode {
        Mode::Orders => ("orders", &mut intervals.orders),
        Mode::Membership => ("membership", &mut intervals.membership),
        Mode::Reports => ("reports", &mut intervals.reports),
        Mode::Events => ("reconciliation", &mut intervals.reconciliation),
    }
}

#[derive(Debug, PartialEq)]
enum Minutes {
    Whole(u32),
    Seconds(u32),
    Rounded(u32),
    EachTick,
}

/// Python's `float()` for orders, `int()` for the others.
fn minutes(text: &str, mode: Mode) -> Result<Minutes, &'static str> {
    const OUT: &str = "write a number of minutes from 1 to 1440";
    let text = text.trim();
    let Ok(minutes) = text.parse::<f64>() else {
        return Err("is no number, and the agent does not start with it; write minutes");
    };
    if mode != Mode::Orders && text.parse::<i64>().is_err() {
        return Err("is no whole number, and the agent does not start with it; write whole minutes");
    }
    if !(0.0..=1440.0).contains(&minutes) {
        return Err(OUT);
    }
    if minutes < 1.0 {
        return Ok(Minutes::EachTick);
    }
    let seconds = minutes * 60.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 60 and 86400"
    )]
    let rounded = seconds.round() as u32;
    if (seconds - f64::from(rounded)).abs() > 1e-9 {
        Ok(Minutes::Rounded(rounded))
    } else if rounded.is_multiple_of(60) {
        Ok(Minutes::Whole(rounded / 60))
    } else {
        Ok(Minutes::Seconds(rounded))
    }
}

/// What becomes of a variable that no field takes.
pub(super) fn explain(name: &str, mode: Mode) -> (RemarkKind, String) {
    if let Some(other) = period_of(name) {
        let message = format!(
            "has no effect in mode {}, which this unit runs: only {} reads it",
            mode.argument(),
            other.argument()
        );
        return (RemarkKind::Dropped, message);
    }
    let dropped = |message: &str| (RemarkKind::Dropped, message.to_owned());
    match name {
        "WALDUR_SITE_AGENT_LOG_LEVEL" => dropped(
            "upstream reads no such variable: log_level in the configuration file counts, which is spec.logLevel here, or \
             modes.<mode>.logLevel for one mode",
        ),
        "WALDUR_VERIFY_SSL" => {
            dropped("upstream reads it and uses it nowhere: verify_ssl in the configuration file counts")
        }
        "WALDUR_SITE_AGENT_HEARTBEAT_PATH" => dropped("the operator sets it: each pod has a /tmp of its own"),
        "SSL_CERT_FILE" | "SSL_CERT_DIR" | "WEBSOCKET_CLIENT_CA_BUNDLE" | "REQUESTS_CA_BUNDLE" => (
            RemarkKind::Check,
            "names CAs on this host: put the bundle into a ConfigMap and name it in spec.waldur.caRef"
                .to_owned(),
        ),
        _ if is_library_variable(name) => (
            RemarkKind::Check,
            format!(
                "has an effect and no field: add it to modes.{}.podOverrides, as env of the container agent",
                mode.slug()
            ),
        ),
        _ => {
            dropped("upstream reads no such variable; if a plugin or a command does, add it by podOverrides")
        }
    }
}

/// Variables that upstream or its libraries read and that no field sets.
fn is_library_variable(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let known = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SENTRY_RELEASE",
        "SENTRY_DEBUG",
        "KUBECONFIG",
        "SLURM_CONF",
        "TZ",
        "PATH",
        "WALDUR_SITE_AGENT_STOMP_UNHEALTHY_AFTER_MINUTES",
        "WALDUR_SITE_AGENT_STOMP_HANDLER_STUCK_AFTER_MINUTES",
        "WALDUR_SITE_AGENT_RESOURCE_STATUS_RECONCILIATION_MINUTES",
    ];
    known.contains(&upper.as_str()) || upper.starts_with("ELASTIC_APM_") || upper.starts_with("SLURM_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_python_reads_them() {
        for (text, mode, minutes) in [
            ("10", Mode::Orders, Minutes::Whole(10)),
            (" 15 ", Mode::Reports, Minutes::Whole(15)),
            ("2.5", Mode::Orders, Minutes::Seconds(150)),
            ("1.333", Mode::Orders, Minutes::Rounded(80)),
            ("0.5", Mode::Orders, Minutes::EachTick),
            ("0", Mode::Membership, Minutes::EachTick),
            ("1440", Mode::Events, Minutes::Whole(1440)),
        ] {
            assert_eq!(super::minutes(text, mode), Ok(minutes), "{text}");
        }
        for (text, mode) in [
            ("2.5", Mode::Reports),
            ("5.0", Mode::Membership),
            ("five", Mode::Orders),
            ("-1", Mode::Orders),
            ("1441", Mode::Events),
            ("nan", Mode::Orders),
            ("", Mode::Reports),
        ] {
            assert!(super::minutes(text, mode).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_without_effect_is_told_from_one_with() {
        for (name, kind, said) in [
            (
                "WALDUR_SITE_AGENT_LOG_LEVEL",
                RemarkKind::Dropped,
                "spec.logLevel",
            ),
            (
                "WALDUR_SITE_AGENT_REPORT_PERIOD_MINUTES",
                RemarkKind::Dropped,
                "only report reads it",
            ),
            ("https_proxy", RemarkKind::Check, "modes.orders.podOverrides"),
            ("SSL_CERT_FILE", RemarkKind::Check, "caRef"),
            ("FOO", RemarkKind::Dropped, "no such variable"),
        ] {
            let (found, message) = explain(name, Mode::Orders);
            assert!(found == kind && message.contains(said), "{name}: {message}");
        }
    }
}
