//! The root of the file: what all offerings share, and the offerings themselves.

use reeve_api_types::{Duration, FieldPath, Reason};

use super::{
    Context, connection,
    fields::{Fields, Read, flag, int, small, text},
    log::{At, Log, RemarkKind},
    offering::{self, Draft},
    unknown::{self, Level},
    vault::Words,
    yaml::{Node, Yaml},
};
use crate::{ElasticApm, Intervals, LogLevel, LogShipping, Offering, Sentry, Site};

/// Words that Secrets of the site's own have.
const TAKEN: &[&str] = &["waldur", "sentry", "proxy"];

/// The site in `document`; what is wrong with it is in the log.
pub(super) fn read(context: &mut Context<'_>, document: &Node, at: At) -> Option<Site> {
    let root = FieldPath::new("spec");
    let mut fields = Fields::of(&mut context.log, document, at)?;
    let drafts = drafts(context, &mut fields, &root);
    let shared = Shared::read(context, &mut fields, &root);
    unknown::remark(&mut context.log, fields, Level::Root);
    let (waldur, offerings) = offerings(context, drafts);
    Some(Site {
        waldur,
        timezone: shared.timezone,
        log_level: shared.log_level,
        reporting_periods: shared.reporting_periods,
        api_key_final_report_days: shared.api_key_final_report_days,
        global_proxy_ref: shared.proxy.map(|url| context.vault.keep("proxy", "url", &url)),
        sentry: shared.sentry_dsn.map(|dsn| Sentry {
            dsn_ref: context.vault.keep("sentry", "dsn", &dsn),
            environment: "production".to_owned(),
        }),
        elastic_apm: shared.elastic_apm.map(|server_url| ElasticApm { server_url }),
        log_shipping: shared.log_shipping,
        expose_backend_error_details: shared.expose,
        intervals: Intervals::default(),
        offerings,
    })
}

/// A site that says nothing.
pub(super) fn empty() -> Site {
    Site {
        waldur: None,
        timezone: "UTC".to_owned(),
        log_level: LogLevel::Info,
        reporting_periods: 2,
        api_key_final_report_days: None,
        global_proxy_ref: None,
        sentry: None,
        elastic_apm: None,
        log_shipping: None,
        expose_backend_error_details: true,
        intervals: Intervals::default(),
        offerings: Vec::new(),
    }
}

/// The offerings, without their secrets.
fn drafts(context: &mut Context<'_>, fields: &mut Fields<'_>, root: &FieldPath) -> Vec<Draft> {
    let path = root.field("offerings");
    let Some((node, at)) = fields.take("offerings") else {
        let message = "offerings is missing, and upstream does not start without it; add it";
        context.log.refuse(&fields.at, Reason::Required, message);
        return Vec::new();
    };
    context.log.origins.note(&path, &at);
    let Yaml::List(list) = &node.value else {
        let message = format!("write a list of offerings; this is {}", node.value.kind());
        context.log.refuse(&at, Reason::InvalidValue, message);
        return Vec::new();
    };
    let mut drafts = Vec::with_capacity(list.len());
    for (index, node) in list.iter().enumerate() {
        let path = path.index(drafts.len());
        let draft = offering::read(
            &mut context.log,
            node,
            at.element(index, node),
            &path,
            context.version,
        );
        if draft.is_none() {
            context.log.origins.forget(&path);
        }
        drafts.extend(draft);
    }
    drafts
}

/// Puts connections and secrets where they belong.
fn offerings(context: &mut Context<'_>, drafts: Vec<Draft>) -> (Option<crate::Waldur>, Vec<Offering>) {
    let mut words = Words::new(TAKEN);
    let words: Vec<_> = drafts
        .iter()
        .map(|draft| words.word(&draft.offering.name))
        .collect();
    let (mut connections, mut rest) = (Vec::new(), Vec::new());
    for draft in drafts {
        connections.push(draft.connection);
        rest.push((draft.offering, draft.settings));
    }
    let (shared, own) = connection::write(context, &connections, &words);
    let path = FieldPath::new("spec").field("offerings");
    let rest = rest.into_iter().zip(own).zip(&words).enumerate();
    let offerings = rest.map(|(index, (((offering, settings), waldur), word))| {
        let (settings, secret_settings) = settings.without_secrets(context, word, &path.index(index));
        Offering {
            waldur,
            settings,
            secret_settings,
            ..offering
        }
    });
    let offerings = offerings.collect();
    (shared, offerings)
}

/// What all offerings share, secrets in plain text.
struct Shared {
    timezone: String,
    log_level: LogLevel,
    reporting_periods: u8,
    api_key_final_report_days: Option<u8>,
    proxy: Option<String>,
    sentry_dsn: Option<String>,
    elastic_apm: Option<String>,
    log_shipping: Option<LogShipping>,
    expose: bool,
}

impl Shared {
    fn read(context: &mut Context<'_>, fields: &mut Fields<'_>, root: &FieldPath) -> Self {
        let version = context.version;
        let log = &mut context.log;
        for (name, field) in [
            ("timezone", "timezone"),
            ("log_level", "logLevel"),
            ("reporting_periods", "reportingPeriods"),
            ("global_proxy", "globalProxyRef"),
            ("sentry_dsn", "sentry"),
            ("elastic_apm_server_url", "elasticApm"),
            ("log_shipping", "logShipping"),
            ("api_key_final_report_days", "apiKeyFinalReportDays"),
        ] {
            if let Some(at) = fields.place(name) {
                log.origins.note(&root.field(field), &at);
            }
        }
        let filled = |read: Read<String>| read.filled().map(|read| read.value);
        Self {
            timezone: fields
                .defaulted(log, "timezone", text)
                .map_or_else(|| "UTC".to_owned(), |read| read.value),
            log_level: fields
                .defaulted(log, "log_level", log_level)
                .map_or(LogLevel::Info, |read| read.value),
            reporting_periods: fields
                .defaulted(log, "reporting_periods", periods)
                .map_or(2, |read| read.value),
            // Earlier agents know no such key, and it is left among those.
            api_key_final_report_days: version
                .has_sound_transport()
                .then(|| fields.defaulted(log, "api_key_final_report_days", days))
                .flatten()
                .map(|read| read.value),
            proxy: fields.defaulted(log, "global_proxy", text).and_then(filled),
            sentry_dsn: fields.optional(log, "sentry_dsn", text).and_then(filled),
            elastic_apm: fields
                .optional(log, "elastic_apm_server_url", text)
                .and_then(filled),
            log_shipping: log_shipping(log, fields),
            expose: fields
                .defaulted(log, "expose_backend_error_details", flag)
                .is_none_or(|read| read.value),
        }
    }
}

fn log_shipping(log: &mut Log, fields: &mut Fields<'_>) -> Option<LogShipping> {
    let (node, at) = fields.take("log_shipping")?;
    let mut fields = Fields::of(log, node, at.clone())?;
    let enabled = fields
        .defaulted(log, "enabled", flag)
        .is_some_and(|read| read.value);
    let interval = fields.defaulted(log, "ship_interval_seconds", small);
    let buffer = fields.defaulted(log, "buffer_size_mb", small);
    let level = fields.defaulted(log, "log_level", log_level);
    unknown::remark(log, fields, Level::LogShipping);
    if !enabled {
        if interval.is_some() || buffer.is_some() || level.is_some() {
            let message = "has no effect while enabled is not true, so all of it is left out";
            log.remark(&at, RemarkKind::Dropped, message);
        }
        return None;
    }
    Some(LogShipping {
        interval: Duration::from_secs(interval.map_or(60, |read| read.value)),
        buffer_size_mib: buffer.map_or(1, |read| read.value),
        log_level: level.map_or(LogLevel::Warning, |read| read.value),
    })
}

fn log_level(value: &Yaml) -> Result<LogLevel, &'static str> {
    const REMEDY: &str = "write DEBUG, INFO, WARNING, ERROR or CRITICAL";
    let Yaml::Text(text) = value else {
        return Err(REMEDY);
    };
    let known = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warning,
        LogLevel::Error,
        LogLevel::Critical,
    ];
    let found = known
        .into_iter()
        .find(|level| level.python() == text.to_uppercase());
    found.ok_or(REMEDY)
}

fn periods(value: &Yaml) -> Result<u8, &'static str> {
    bounded(value, 1, 12).ok_or("write 1 to 12 periods")
}

fn days(value: &Yaml) -> Result<u8, &'static str> {
    bounded(value, 0, 28).ok_or("write 0 to 28 days")
}

fn bounded(value: &Yaml, low: u8, high: u8) -> Option<u8> {
    let value = u8::try_from(int(value).ok()?).ok()?;
    (low..=high).contains(&value).then_some(value)
}
