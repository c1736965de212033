//! Running the binary in the folder of the fixtures.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Runs it with `input` on standard input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-reeve"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // The program may stop reading: it has a limit.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

/// Its exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed by a signal")
}

/// What it wrote to standard output.
pub(crate) fn out(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("UTF-8")
}

/// What it wrote to standard error.
pub(crate) fn err(output: &Output) -> &str {
    str::from_utf8(&output.stderr).expect("UTF-8")
}
