//! Settings of units that have no counterpart, and why none is needed, or what to do instead.

use std::collections::BTreeMap;

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

/// Says what becomes of everything in `service` that nothing took: settings of one reason together.
pub(super) fn remark(log: &mut Log, service: &mut Service) {
    let mut by_reason: BTreeMap<(RemarkKind, &str), Vec<(String, At)>> = BTreeMap::new();
    for (key, (_, at)) in std::mem::take(&mut service.settings) {
        by_reason.entry(explanation(&key)).or_default().push((key, at));
    }
    for ((kind, reason), mut keys) in by_reason {
        keys.sort_by_key(|(_, at)| at.place.line);
        let Some((_, at)) = keys.first() else { continue };
        let others: Vec<_> = keys[1..].iter().map(|(key, _)| key.as_str()).collect();
        let message = match others.as_slice() {
            [] => reason.to_owned(),
            others => format!("{reason}; the same goes for {}", others.join(", ")),
        };
        log.remark(at, kind, message);
    }
    if let [(_, at), rest @ ..] = std::mem::take(&mut service.sections).as_slice() {
        let others: String = rest
            .iter()
            .flat_map(|(section, _)| [" and ", section.as_str()])
            .collect();
        let message = format!(
            "what is in this section{others} is left out: when a pod starts, and after what, is Kubernetes' business"
        );
        log.remark(at, RemarkKind::Dropped, message);
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
