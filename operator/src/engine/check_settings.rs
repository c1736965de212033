//! How often supervisors look whether their agents are well. Flags, since they are the same for every object.

use std::time::Duration;

/// How often supervisors look whether their agents are well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::Args)]
pub struct CheckSettings {
    /// How often an agent's supervisor asks Waldur with the agent's credentials: condition `WaldurReachable`.
    #[arg(long, env = "REEVE_CHECK_PERIOD", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub check_period: Duration,
    /// How long event connections may be away, while the broker answers, before the agent is restarted.
    #[arg(long, env = "REEVE_EVENTS_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub events_timeout: Duration,
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            check_period: Duration::from_mins(5),
            events_timeout: Duration::from_mins(15),
        }
    }
}

/// At least a second: Waldur is somebody's server.
fn duration(text: &str) -> Result<Duration, String> {
    let duration = text
        .parse::<reeve_api_types::Duration>()
        .map_err(|error| error.to_string())?;
    if duration.get() < Duration::from_secs(1) {
        return Err("write at least 1s".to_owned());
    }
    Ok(duration.get())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: CheckSettings,
    }

    #[test]
    fn the_flags_defaults_are_the_defaults() {
        let line = Line::try_parse_from(["reeve"]).expect("no flags");
        assert_eq!(line.settings, CheckSettings::default());
    }

    #[test]
    fn nobody_can_make_all_agents_ask_without_a_pause() {
        assert!(Line::try_parse_from(["reeve", "--check-period", "0s"]).is_err());
    }
}
