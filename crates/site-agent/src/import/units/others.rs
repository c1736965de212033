//! Settings of units that have no counterpart, and why none is needed, or what to do instead.

use std::collections::{BTreeMap, BTreeSet};

use super::service::Service;
use crate::import::log::{At, Log, RemarkKind};

/// What a setting of `[Service]` comes to.
fn explanation(key: &str) -> (RemarkKind, &'static str) {
    use RemarkKind::{Check, Dropped};
    match key {
        "User" | "Group" | "DynamicUser" | "SupplementaryGroups" | "UMask" => (
            Check,
            "the pods run as the image's user, which is not root; securityContext in podOverrides gives another",
        ),
        "Restart"
        | "RestartSec"
        | "RestartSteps"
        | "RestartMaxDelaySec"
        | "StartLimitIntervalSec"
        | "StartLimitBurst"
        | "SuccessExitStatus"
        | "RestartPreventExitStatus" => (
            Dropped,
            "the supervisor restarts the agent, after a delay that grows",
        ),
        "KillMode" | "KillSignal" | "SendSIGKILL" | "TimeoutStopSec" | "TimeoutSec" | "TimeoutStartSec"
        | "ExecReload" | "ExecStop" | "ExecStopPost" => (
            Dropped,
            "the supervisor stops the agent when it is quiet, within terminationGracePeriodSeconds",
        ),
        "StandardOutput" | "StandardError" | "StandardInput" | "SyslogIdentifier" | "LogsDirectory"
        | "LogRateLimitBurst" => (Dropped, "the agent's log is the pod's: kubectl logs"),
        "WorkingDirectory"
        | "RuntimeDirectory"
        | "RuntimeDirectoryMode"
        | "StateDirectory"
        | "CacheDirectory"
        | "PIDFile" => (Dropped, "the agent keeps no files; a pod has a /tmp of its own"),
        "Type" | "RemainAfterExit" | "NotifyAccess" | "WatchdogSec" | "GuessMainPID" => {
            (Dropped, "the supervisor starts the agent and watches it")
        }
        "ExecStartPre" | "ExecStartPost" | "ExecCondition" => (
            Check,
            "is not run here; an initContainer in podOverrides can do what it did",
        ),
        "LoadCredential"
        | "SetCredential"
        | "LoadCredentialEncrypted"
        | "SetCredentialEncrypted"
        | "PassEnvironment" => (
            Check,
            "is not carried over; mount a Secret, or set variables, by podOverrides",
        ),
        "MemoryHigh" | "MemoryLow" | "MemoryMin" | "MemorySwapMax" | "CPUShares" | "CPUWeight"
        | "TasksMax" | "LimitNOFILE" | "LimitNPROC" | "LimitCORE" | "Nice" | "IOWeight"
        | "OOMScoreAdjust" | "CPUQuotaPeriodSec" | "Slice" => (
            Dropped,
            "of limits only MemoryMax, MemoryLimit and CPUQuota have a counterpart, in modes.<mode>.resources",
        ),
        _ if is_hardening(key) => (
            Dropped,
            "the pods meet Kubernetes' restricted pod security standard: no root, no capabilities, a read-only root",
        ),
        _ => (
            Check,
            "has no counterpart here; see whether podOverrides should do what it did",
        ),
    }
}

fn is_hardening(key: &str) -> bool {
    let begins = [
        "Protect",
        "Private",
        "Restrict",
        "SystemCall",
        "Capability",
        "Ambient",
        "Read",
        "Inaccessible",
        "Lock",
    ];
    begins.iter().any(|begin| key.starts_with(begin))
        || ["NoNewPrivileges", "MemoryDenyWriteExecute"].contains(&key)
}

/// What nothing took, of all units: one remark for each reason, because units are alike.
#[derive(Default)]
pub(super) struct Others(BTreeMap<(RemarkKind, &'static str), Vec<(String, At)>>);

impl Others {
    /// Takes the rest of `service`.
    pub(super) fn take(&mut self, log: &mut Log, service: &mut Service) {
        let mut settings: Vec<_> = std::mem::take(&mut service.settings).into_iter().collect();
        settings.sort_by_key(|(_, (_, at))| at.place.line);
        for (key, (_, at)) in settings {
            self.0.entry(explanation(&key)).or_default().push((key, at));
        }
        for (section, at) in std::mem::take(&mut service.sections) {
            let reason = match section.as_str() {
                "Unit" | "Install" => "when a pod starts, and after what, is Kubernetes' business",
                _ => "systemd does not read this section of a service either",
            };
            let reason = (RemarkKind::Dropped, reason);
            self.0
                .entry(reason)
                .or_default()
                .push((format!("[{section}]"), at));
        }
        for (file, at) in std::mem::take(&mut service.environment_files) {
            let message = format!(
                "{} is not read: give its variables as Environment= in a drop-in, {}.d/NAME.conf, by --unit",
                file.trim_start_matches('-'),
                service.name
            );
            log.remark(&at, RemarkKind::Check, message);
        }
    }

    /// Says it, at the first place of each.
    pub(super) fn remark(self, log: &mut Log) {
        for ((kind, reason), keys) in self.0 {
            let Some((_, at)) = keys.first() else { continue };
            let mut named: Vec<&str> = Vec::new();
            for (key, _) in &keys {
                if !named.contains(&key.as_str()) {
                    named.push(key);
                }
            }
            let files: BTreeSet<_> = keys.iter().map(|(_, at)| &at.place.file).collect();
            let too = match (&named[1..], files.len()) {
                ([], 1) => String::new(),
                ([], _) => "; likewise in other units".to_owned(),
                (others, 1) => format!("; likewise {}", others.join(", ")),
                (others, _) => format!("; likewise {}, and in other units", others.join(", ")),
            };
            log.remark(at, kind, format!("{reason}{too}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_of_upstreams_units_has_a_reason_of_its_own() {
        for key in [
            "User",
            "Group",
            "Restart",
            "RestartSec",
            "StandardOutput",
            "StandardError",
            "RuntimeDirectory",
            "Type",
            "ProtectSystem",
        ] {
            assert!(!explanation(key).1.contains("no counterpart here"), "{key}");
        }
        assert!(
            explanation("FileDescriptorStoreMax")
                .1
                .contains("no counterpart here")
        );
    }
}
