//! The supervisor's metrics, computed from one status when they are asked for.
//! Names and labels are part of the interface: dashboards and alerts depend on them.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};

use crate::{http::Status, vigil::Numbers};

/// The metrics page in `OpenMetrics` text.
pub fn page(status: Status) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("reeve_supervisor");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The supervisor's version", version);
    registry.register_collector(Box::new(status));
    let mut page = String::new();
    encode(&mut page, &registry)?;
    Ok(page)
}

impl Collector for Status {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name, help, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge(
            "leader",
            "1 while this pod may run the command",
            f64::from(u8::from(self.leading)),
        )?;
        gauge(
            "child_up",
            "1 while the command's process is there",
            f64::from(u8::from(self.child_up)),
        )?;
        if let Some(age) = self.heartbeat_age {
            gauge(
                "heartbeat_age_seconds",
                "Time since the command's last heartbeat",
                age.as_secs_f64(),
            )?;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; 2^53 bytes are far away"
        )]
        let memory = self.resident_memory as f64;
        gauge(
            "child_resident_memory_bytes",
            "Resident memory of the command and its processes",
            memory,
        )?;
        gauge(
            "lease_transitions",
            "How often the Lease has changed hands",
            f64::from(self.lease_transitions),
        )?;

        for (name, help, value) in self.vigil.iter().flat_map(vigil) {
            gauge(name, help, value)?;
        }

        let cpu = ConstCounter::new(self.cpu_time.as_secs_f64());
        let help = "Processor time of the command and its processes";
        cpu.encode(encoder.encode_descriptor("child_cpu_seconds", help, None, MetricType::Counter)?)?;
        counters(
            &mut encoder,
            "restarts",
            "Restarts of the command",
            "reason",
            &self.restarts,
        )?;
        counters(
            &mut encoder,
            "stops",
            "How the command was stopped",
            "how",
            &self.stops,
        )
    }
}

/// The gauges of what was found out about Waldur and the event connections; those that are known.
fn vigil(numbers: &Numbers) -> Vec<(&'static str, &'static str, f64)> {
    let mut gauges = Vec::new();
    if let Some(answers) = numbers.waldur {
        let help = "1 while Waldur answers with the command's credentials";
        gauges.push(("waldur_reachable", help, f64::from(u8::from(answers))));
    }
    if let Some(age) = numbers.waldur_age {
        let help = "Time since Waldur was last asked";
        gauges.push(("waldur_check_age_seconds", help, age.as_secs_f64()));
    }
    if let Some((connections, missing)) = numbers.events {
        let connections = f64::from(u32::try_from(connections).unwrap_or(u32::MAX));
        gauges.push(("event_connections", "Event connections at work", connections));
        let help = "Time since an event connection is missing";
        gauges.push(("events_missing_seconds", help, missing.as_secs_f64()));
    }
    gauges
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&'static str, u64)],
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in values {
        ConstCounter::new(*count).encode(family.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}
