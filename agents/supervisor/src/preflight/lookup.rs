//! Programs and files that have to be there for this user. Nothing is started and no shell is asked: a program is found
//! where the kernel would find it for a command that names it.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use reeve_checks::{Checks, preflight::Check};
use rustix::{
    fs::{Access, access},
    io::Errno,
    process::geteuid,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

/// Where glibc looks when there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Lookups have this time also when others have used up all of it: a file system that works answers at once.
const LEAST: Duration = Duration::from_secs(5);

/// Lookups under way, on a thread of their own: a file system can hang.
#[derive(Debug)]
pub struct Lookups(UnboundedReceiver<Check>);

impl Lookups {
    /// Begins.
    pub fn start(checks: &Checks) -> Self {
        let (sender, receiver) = unbounded_channel();
        let (programs, files) = (checks.programs.clone(), checks.files.clone());
        let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        spawn_blocking(move || {
            let programs = programs.iter().map(|name| program(name, &path));
            let files = files.iter().map(|name| file(name));
            // Once nobody listens there is no need to go on.
            programs.chain(files).all(|check| sender.send(check).is_ok())
        });
        Self(receiver)
    }

    /// What was found, in the order of `checks`: programs, then files.
    pub async fn take(mut self, checks: &Checks, deadline: Instant) -> Vec<Check> {
        let programs = checks.programs.iter().map(|name| program_name(name));
        let files = checks.files.iter().map(|name| file_name(name));
        let deadline = deadline.max(Instant::now() + LEAST);
        let mut found = Vec::new();
        for name in programs.chain(files) {
            found.push(match timeout_at(deadline, self.0.recv()).await {
                Ok(Some(check)) => check,
                _ => Check::failed(
                    name,
                    "TimedOut",
                    "the time limit was over before it was found: does its file system, or one before it, hang?",
                ),
            });
        }
        found
    }
}

fn program_name(name: &str) -> String {
    format!("Program {name}")
}

fn file_name(name: &str) -> String {
    format!("File {name}")
}

/// Looks for a program on a `PATH`; a name with a slash is a path itself.
fn program(name: &str, path: &OsStr) -> Check {
    let check = program_name(name);
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![name.into()]
    } else {
        env::split_paths(path).map(|folder| folder.join(name)).collect()
    };
    let is_executable = |file: &PathBuf| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if candidates.iter().any(is_executable) {
        return Check::passed(check);
    }
    if let Some(file) = candidates.iter().find(|file| file.is_file()) {
        let message = format!(
            "{} is there, but this user (uid {}) may not execute it",
            file.display(),
            geteuid().as_raw()
        );
        return Check::failed(check, "NotExecutable", message);
    }
    let place = if name.contains('/') {
        "it is not there".to_owned()
    } else {
        format!("it is not on PATH ({})", path.display())
    };
    let message = format!("{place}; name an image that has it, or mount it");
    Check::failed(check, "NotFound", message)
}

fn file(name: &str) -> Check {
    let check = file_name(name);
    match access(Path::new(name), Access::READ_OK) {
        Ok(()) => Check::passed(check),
        Err(Errno::NOENT | Errno::NOTDIR) => Check::failed(check, "NotFound", "it is not there; mount it"),
        Err(error) => {
            let user = geteuid().as_raw();
            let message = format!("this user (uid {user}) cannot read it: {error}");
            Check::failed(check, "Unreadable", message)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use reeve_checks::preflight::Outcome;

    use super::*;

    /// A folder of its own with files `there` (executable) and `data` (not), and a folder `folder`.
    fn folder(test: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("reeve-lookup-{test}-{}", std::process::id()));
        fs::create_dir_all(folder.join("folder")).expect("made");
        for (name, mode) in [("there", 0o755), ("data", 0o644)] {
            let file = folder.join(name);
            fs::write(&file, "").expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        }
        folder
    }

    #[test]
    fn a_program_is_found_where_the_kernel_would() {
        let folder = folder("program");
        let path = env::join_paths([Path::new("/nowhere"), &folder]).expect("a PATH");
        let reason = |name: &str| program(name, &path).reason;
        assert_eq!(program("there", &path), Check::passed("Program there"));
        assert_eq!(reason("data"), "NotExecutable");
        assert_eq!(reason("folder"), "NotFound");
        assert_eq!(reason("absent"), "NotFound");
        let there = folder.join("there").display().to_string();
        assert_eq!(program(&there, OsStr::new("")).result, Outcome::Passed);
        let elsewhere = program("/nowhere/there", &path);
        assert_eq!(elsewhere.reason, "NotFound");
        assert!(!elsewhere.message.contains("PATH"), "{elsewhere:?}");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_program_that_an_earlier_folder_has_but_not_for_this_user_is_found_in_the_next() {
        let folder = folder("next");
        let before = folder.join("folder");
        fs::write(before.join("there"), "").expect("written");
        let path = env::join_paths([&before, &folder]).expect("a PATH");
        assert_eq!(program("there", &path).result, Outcome::Passed);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_file_is_there_or_not_also_below_what_is_no_folder() {
        let folder = folder("file");
        let look = |name: &str| file(&folder.join(name).display().to_string());
        assert_eq!(look("data").result, Outcome::Passed);
        assert_eq!(look("folder").result, Outcome::Passed);
        assert_eq!(look("absent").reason, "NotFound");
        assert_eq!(look("data/below").reason, "NotFound");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn what_was_looked_at_comes_in_order() {
        let checks = Checks {
            programs: vec!["sh".to_owned(), "no-such-program".to_owned()],
            files: vec!["/proc/self/stat".to_owned()],
            ..Checks::default()
        };
        let lookups = Lookups::start(&checks);
        let far = Instant::now() + Duration::from_mins(1);
        let found = lookups.take(&checks, far).await;
        let outcomes: Vec<_> = found
            .iter()
            .map(|check| (check.check.as_str(), check.result))
            .collect();
        let expected = [
            ("Program sh", Outcome::Passed),
            ("Program no-such-program", Outcome::Failed),
            ("File /proc/self/stat", Outcome::Passed),
        ];
        assert_eq!(outcomes, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_system_that_hangs_is_named_and_not_waited_for() {
        let (_hangs, receiver) = unbounded_channel();
        let checks = Checks {
            files: vec!["/mnt/slurm.conf".to_owned()],
            ..Checks::default()
        };
        let found = Lookups(receiver).take(&checks, Instant::now()).await;
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].check.as_str(), found[0].reason.as_str()),
            ("File /mnt/slurm.conf", "TimedOut")
        );
    }
}
