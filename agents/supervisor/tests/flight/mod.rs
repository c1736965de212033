//! Runs the real program as a preflight, and reads what it leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use reeve_checks::preflight::{Check, LIMIT, Outcome, Report};
use serde_json::Value;

use crate::{harness::PROGRAM, peer::Peer};

/// The token that no output may show.
pub(crate) const TOKEN: &str = "token-that-nobody-may-see";

/// A preflight in a folder of its own.
pub(crate) struct Flight {
    pub(crate) folder: PathBuf,
    pub(crate) line: Vec<String>,
    authority: Option<PathBuf>,
}

/// What came of it.
pub(crate) struct Landed {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) report: Report,
}

impl Flight {
    /// Of these checks, once the command line is complete.
    pub(crate) fn of(test: &str, checks: &Value) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("preflight-{test}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the test");
        let file = folder.join("checks.json");
        fs::write(&file, checks.to_string()).expect("written");
        let flight = Self {
            folder,
            line: vec![PROGRAM.to_owned(), "preflight".to_owned()],
            authority: None,
        };
        let report = flight.path("report");
        flight.with(&["--checks-file", &file.display().to_string(), "--report", &report])
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// With further arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.line
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// With a script as the command.
    pub(crate) fn script(self, script: &str) -> Self {
        self.with(&["--", "bash", "-c", script])
    }

    /// Trusts who signed the peer's certificate.
    pub(crate) fn trusting(mut self, peer: &Peer) -> Self {
        let file = self.folder.join("ca.pem");
        fs::write(&file, &peer.certificate).expect("written");
        self.authority = Some(file);
        self
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Child {
        // Of an earlier run.
        let _ = fs::remove_file(self.folder.join("report"));
        let mut command = Command::new(&self.line[0]);
        command
            .args(&self.line[1..])
            .current_dir(&self.folder)
            .env_remove("SSL_CERT_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(authority) = &self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        command.spawn().expect("the program starts")
    }

    /// Starts it and waits for the end.
    pub(crate) fn run(&self) -> Landed {
        self.land(self.start())
    }

    /// Waits for the end. Whatever happens, nobody sees the token.
    pub(crate) fn land(&self, process: Child) -> Landed {
        let Output {
            status,
            stdout,
            stderr,
        } = process.wait_with_output().expect("ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (log, errors) = (text(stdout), text(stderr));
        let report = fs::read_to_string(self.folder.join("report")).expect("a report");
        for shown in [&log, &errors, &report] {
            assert!(!shown.contains(TOKEN), "{shown}");
        }
        assert!(report.len() <= LIMIT, "{}", report.len());
        Landed {
            code: status.code(),
            log,
            report: Report::from_message(&report)
                .unwrap_or_else(|error| panic!("{error}: {report}; {errors}")),
        }
    }
}

impl Landed {
    /// A check by the beginning of its name.
    pub(crate) fn check(&self, name: &str) -> &Check {
        let mut checks = self.report.checks.iter();
        checks
            .find(|check| check.check.starts_with(name))
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.report))
    }

    /// The reasons of what failed.
    pub(crate) fn failed(&self) -> Vec<&str> {
        let checks = self.report.checks.iter();
        checks
            .filter(|check| check.result == Outcome::Failed)
            .map(|check| check.reason.as_str())
            .collect()
    }
}
