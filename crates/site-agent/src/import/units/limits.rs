//! `MemoryMax=` and `CPUQuota=`: what systemd limits, in Kubernetes' units.

use super::service::Service;
use crate::import::log::{Log, RemarkKind};
use reeve_api_types::Reason;

/// What a unit limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes. Default: none is said.
    pub memory: Option<u64>,
    /// CPU, in thousandths of a core. Default: none is said.
    pub cpu_millis: Option<u64>,
}

/// What the agent needs with all plugins loaded, in bytes.
const NEEDED: u64 = 256 << 20;

/// Takes the limits from `service`.
pub(super) fn take(log: &mut Log, service: &mut Service) -> Limits {
    // The newer name counts where both are set.
    let older = service.setting("MemoryLimit");
    let memory = service.setting("MemoryMax").or(older);
    let mut limits = Limits::default();
    if let Some((value, at)) = memory {
        if value.ends_with('%') {
            let message = "is a share of the host's memory, and a pod has no such host; the default limit holds, see modes.<mode>.resources";
            log.remark(&at, RemarkKind::Dropped, message);
        } else if value == "infinity" {
            let message = "is no limit; here the default limit holds, see modes.<mode>.resources";
            log.remark(&at, RemarkKind::Differs, message);
        } else {
            limits.memory = bytes(&value);
            match limits.memory {
                None => log.refuse(&at, Reason::InvalidValue, "write a size such as 512M or 1G"),
                Some(memory) if memory < NEEDED => {
                    let message = "is less than the 256 MiB that the agent needs with all plugins loaded; raise it if pods are killed";
                    log.remark(&at, RemarkKind::Check, message);
                }
                Some(_) => {}
            }
        }
    }
    if let Some((value, at)) = service.setting("CPUQuota") {
        limits.cpu_millis = quota(&value);
        if limits.cpu_millis.is_none() {
            log.refuse(
                &at,
                Reason::InvalidValue,
                "write a share of one CPU above 0, such as 50% or 150%",
            );
        }
    }
    limits
}

/// A size as systemd writes it: bytes, or K, M, G, T to the base of 1024, fractions allowed.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let factor = 1_u128 << shift;
    let tens = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u128>().ok()? * factor / tens;
    let bytes = whole.parse::<u128>().ok()? * factor + part;
    u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// A share of one CPU in thousandths: `50%` is 500.
fn quota(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?.trim();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let tenth = match fraction.as_bytes() {
        [] => 0,
        // Thousandths are the finest that Kubernetes knows; systemd's hundredths of a percent are cut.
        [digit, rest @ ..] if digit.is_ascii_digit() && rest.iter().all(u8::is_ascii_digit) => {
            u64::from(digit - b'0')
        }
        _ => return None,
    };
    let millis = whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth)?;
    (millis > 0).then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_read_as_systemd_does() {
        for (text, size) in [
            ("512M", 512 << 20),
            ("1G", 1 << 30),
            ("1.5G", 3 << 29),
            ("1048576", 1 << 20),
            ("64K", 64 << 10),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "0", "M", "1Gi", "-1M", "1..5G", "99999999999999999999"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        for (text, millis) in [("50%", 500), ("150%", 1500), ("12.5%", 125), ("0.15%", 1)] {
            assert_eq!(quota(text), Some(millis), "{text}");
        }
        for text in ["50", "0%", "%", "x%", "1.x%"] {
            assert_eq!(quota(text), None, "{text}");
        }
    }
}
