//! The start of the child, in two steps without unsafe code: the guard starts this program again, and that copy
//! prepares its own process before it becomes the command.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::exit;

/// The guard's half: starts the copy in a process group of its own. Standard input and output are the command's.
pub fn start(command: &[String]) -> io::Result<Child> {
    prepare(command).spawn()
}

/// The copy that becomes the command, to be started in a process group of its own by the thread that stays longest.
pub fn prepare(command: &[String]) -> Command {
    let mut copy = Command::new("/proc/self/exe");
    copy.args(["child", "--guard", &std::process::id().to_string(), "--"])
        .args(command)
        .process_group(0);
    copy
}

/// The copy's half: dies with the guard from now on, then becomes the command. Returns the exit code when it cannot.
///
/// The standard library gives the command the default for SIGPIPE and an empty signal mask.
pub fn become_command(guard: i32, command: &[String]) -> u8 {
    let tied = set_parent_process_death_signal(Some(Signal::KILL));
    let orphaned = getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != guard);
    let [program, arguments @ ..] = command else {
        return exit::NOT_FOUND;
    };
    if tied.is_err() || orphaned {
        return exit::FAILED;
    }
    let error = Command::new(program).args(arguments).exec();
    // Before logging is set up, and in the command's own place: a plain line is what a shell would write.
    eprintln!("reeve-supervise: {program}: {error}");
    if error.kind() == io::ErrorKind::NotFound {
        exit::NOT_FOUND
    } else {
        exit::CANNOT_EXECUTE
    }
}
