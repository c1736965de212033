//! Health checks as the runner makes them: names filled in, times in milliseconds.

use std::collections::BTreeMap;

use reeve_api_types::Duration;

use super::work::Builder;
use crate::{
    spec::HealthCheck,
    step::{Check, CheckKind, CommandPlace, HttpProbe, RunCommand},
};

impl Builder<'_> {
    pub(super) fn checks(&mut self, checks: &[HealthCheck]) -> Vec<Check> {
        checks.iter().filter_map(|check| self.check(check)).collect()
    }

    fn check(&mut self, check: &HealthCheck) -> Option<Check> {
        let (kind, about) = if let Some(http) = &check.http {
            let probe = HttpProbe {
                to: self.url(&http.url, http.ca_ref.as_ref()),
                status: http.status.clone(),
                contains: http.contains.clone(),
                matches: http.matches.clone(),
                certificate_days: http.certificate_days,
            };
            (CheckKind::Http(probe), http.url.clone())
        } else if let Some(tcp) = &check.tcp {
            (CheckKind::Tcp(tcp.clone()), format!("{}:{}", tcp.host, tcp.port))
        } else if let Some(command) = &check.command {
            let run = RunCommand {
                place: CommandPlace::Host,
                run: command.run.clone(),
                environment: BTreeMap::new(),
                inconclusive_codes: Vec::new(),
                junit: None,
            };
            (
                CheckKind::Command(run),
                command.run.first().cloned().unwrap_or_default(),
            )
        } else {
            let mut ready = check.ready.clone()?;
            let about = format!("{} {}", ready.kind, ready.name);
            ready.namespace.get_or_insert_with(|| self.plan.namespace.clone());
            (CheckKind::Ready(ready), about)
        };
        Some(Check {
            name: check.name.clone().unwrap_or(about),
            kind,
            from: check.from,
            interval: millis(&check.interval),
            timeout: millis(&check.timeout),
            successes: check.successes,
            tries: check.tries,
        })
    }
}

fn millis(duration: &Duration) -> u64 {
    u64::try_from(duration.get().as_millis()).unwrap_or(u64::MAX)
}
