//! The `process_*` metrics that every Prometheus client offers, read from `/proc/self`.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use rustix::param;

/// Reads `/proc/self` when asked.
#[derive(Debug)]
pub struct ProcessCollector;

/// What `/proc/self` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time since the start, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
}

impl Usage {
    /// This process, now; zeros where `/proc` cannot be read.
    pub fn now() -> Self {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let open_fds = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        Self {
            open_fds,
            ..Self::parse(&stat, &statm)
        }
    }

    fn parse(stat: &str, statm: &str) -> Self {
        // The second field, the program's name, may hold spaces; fields 14 and 15 are utime and stime.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse().ok())
                .unwrap_or(0_u32)
        };
        let ticks = f64::from(ticks(11)) + f64::from(ticks(12));
        let pages: u64 = statm
            .split_whitespace()
            .nth(1)
            .and_then(|field| field.parse().ok())
            .unwrap_or(0);
        Self {
            #[expect(clippy::cast_precision_loss, reason = "100 in practice")]
            cpu_seconds: ticks / param::clock_ticks_per_second() as f64,
            resident_bytes: pages * param::page_size() as u64,
            open_fds: 0,
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let usage = Usage::now();
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
        let gauges = [
            ("process_cpu_seconds", "User and system time", usage.cpu_seconds),
            (
                "process_resident_memory_bytes",
                "Resident memory",
                usage.resident_bytes as f64,
            ),
            ("process_open_fds", "Open file descriptors", usage.open_fds as f64),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_skipped() {
        let stat = "7 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 4 0";
        let usage = Usage::parse(stat, "100 25 3 0 0 0 0");
        #[expect(clippy::cast_precision_loss, reason = "100 in practice")]
        let expected = 200.0 / param::clock_ticks_per_second() as f64;
        assert!((usage.cpu_seconds - expected).abs() < 1e-9);
        assert_eq!(usage.resident_bytes, 25 * param::page_size() as u64);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::now().resident_bytes > 1_000_000);
    }
}
