//! The upstream agent's own reader of configurations, in the newest stable version and in the newest candidate.

use std::{
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use reeve_site_agent::AgentVersion;
use serde_json::Value;

/// The variables that name the virtual environments, and what makes these.
const ENVIRONMENTS: [(&str, &str); 2] = [
    ("REEVE_SITE_AGENT_VENV", "e2e/fake-waldur/venv.sh"),
    ("REEVE_SITE_AGENT_RC_VENV", "e2e/fake-waldur/venv.sh rc"),
];

/// A Python process that loads one configuration after the other; it ends with this value.
pub(crate) struct Upstream {
    pub(crate) version: AgentVersion,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Those that there are; says which are not.
pub(crate) fn upstreams() -> Vec<Upstream> {
    let found = ENVIRONMENTS.iter().filter_map(|(variable, script)| {
        let venv = env::var_os(variable);
        if venv.is_none() {
            // Written past the test runner, which shows what a test prints only if it fails.
            let hint = format!("SKIPPED: set {variable}=$({script}) to load files with the real agent\n");
            std::io::stderr().write_all(hint.as_bytes()).unwrap();
        }
        Some(Upstream::start(Path::new(&venv?)))
    });
    found.collect()
}

impl Upstream {
    fn start(venv: &Path) -> Self {
        let mut process = Command::new(venv.join("bin/python"))
            .args(["-c", include_str!("load.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let version = line(&mut output).trim().parse().unwrap();
        Self {
            version,
            process,
            input,
            output,
        }
    }

    /// What upstream makes of `text`, or why it refuses it.
    pub(crate) fn load(&mut self, text: &str) -> Result<Value, String> {
        writeln!(self.input, "{}", Value::from(text)).unwrap();
        serde_json::from_str(&line(&mut self.output)).unwrap()
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    assert_ne!(
        output.read_line(&mut line).unwrap(),
        0,
        "the agent's Python has ended"
    );
    line
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
