//! The stand-in for SLURM's commands: what it answers, what it refuses, and that it keeps its state.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A SLURM with a fresh database.
struct Slurm(PathBuf);

impl Slurm {
    fn new(name: &str) -> Self {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-slurm-{name}"));
        // Left over from an earlier run, or not there.
        let _ = std::fs::remove_dir_all(&state);
        Self(state)
    }

    /// Runs a command line; words with spaces are not needed here. Gives its status and all it printed.
    fn run(&self, line: &str) -> (i32, String) {
        let mut words = line.split(' ');
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/site-agent/slurm");
        let output = Command::new(programs.join(words.next().unwrap()))
            .args(words)
            .env("REEVE_FAKE_SLURM_STATE", &self.0)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
    }

    /// Runs sacctmgr with the options that the agent gives it.
    fn manage(&self, line: &str) -> (i32, String) {
        self.run(&format!("sacctmgr --parsable2 --noheader --immediate {line}"))
    }
}

#[test]
fn accounts_users_and_limits_are_kept_and_shown_as_sacctmgr_does() {
    let slurm = Slurm::new("kept");
    for (line, status, shown) in [
        ("list cluster format=cluster", 0, "demo\n"),
        ("list account", 0, "root|default root account|root\n"),
        ("show account a_x", 0, ""),
        (
            "add account C_One description=\"c\" organization=\"c_one\" parent=\"root\"",
            0,
            " Adding Account(s)\n  c_one\n",
        ),
        (
            "add account a_x description=\"x\" organization=\"c_one\" parent=\"c_one\"",
            0,
            " Adding Account(s)\n  a_x\n",
        ),
        ("show account a_x cluster=demo", 0, "a_x|x|c_one\n"),
        (
            "show assoc account=a_x format=Account,ParentName,User -n -P",
            0,
            "a_x|c_one|\n",
        ),
        (
            "modify account a_x set GrpTRESMins=cpu=60,mem=5",
            0,
            " Modified account associations...\n",
        ),
        (
            "modify account a_x set GrpTRESMins=cpu=60",
            1,
            "  Nothing modified\n",
        ),
        (
            "modify account a_x set GrpTRESMins=mem=-1",
            0,
            " Modified account associations...\n",
        ),
        (
            "show association format=account,GrpTRESMins where accounts=a_x",
            0,
            "a_x|cpu=60\n",
        ),
        (
            "add user alice account=a_x DefaultAccount=root Share=parent",
            0,
            " Adding User(s)\n  alice\n",
        ),
        (
            "list associations format=account,user where account=a_x",
            0,
            "a_x|\na_x|alice\n",
        ),
        (
            "show association where user=alice account=a_x",
            0,
            "demo|a_x|alice||parent|||||||||||||normal||\n",
        ),
        (
            "modify account where name=a_x set parent=root",
            0,
            " Modified account associations...\n",
        ),
        (
            "modify account where name=a_x set parent=root",
            1,
            "  Nothing modified\n",
        ),
        (
            "remove user where name=alice and account=a_x",
            0,
            " Deleting associations...\n",
        ),
        ("remove account where name=a_x", 0, " Deleting associations...\n"),
        ("remove account where name=a_x", 0, " Nothing deleted\n"),
    ] {
        assert_eq!(slurm.manage(line), (status, shown.to_owned()), "{line}");
    }
}

#[test]
fn what_slurm_would_not_do_fails_with_status_one_and_a_reason() {
    let slurm = Slurm::new("refused");
    slurm.manage("add account parent");
    slurm.manage("add account child parent=parent");
    for (line, reason) in [
        ("add account child", "Nothing new added"),
        (
            "add account x parent=nobody",
            "Parent account 'nobody' doesn't exist",
        ),
        (
            "add user bob account=nobody",
            "This account 'nobody' doesn't exist",
        ),
        ("add account x colour=red", "Unknown option: colour=red"),
        ("remove account where name=parent", "child"),
        (
            "modify account child set GrpTRESMins=floppies=1",
            "Bad TRES specification",
        ),
        ("modify account child set", "anything to set"),
        ("list account cluster=other", "This cluster 'other' doesn't exist"),
        ("list account format=colour", "Unknown field 'colour'"),
        ("list spaceships", "No valid entity"),
        ("dance account", "invalid keyword"),
    ] {
        let (status, printed) = slurm.manage(line);
        assert_eq!(status, 1, "{line}: {printed}");
        assert!(printed.contains(reason), "{line}: {printed}");
    }
    for line in [
        "sacct --colour",
        "scancel -Z",
        "sinfo --colour",
        "sacctmgr --colour list account",
    ] {
        let (status, printed) = slurm.run(line);
        assert_eq!(
            (status, printed.contains("unrecognized option")),
            (1, true),
            "{line}: {printed}"
        );
    }
}

#[test]
fn jobs_count_for_their_account_in_their_period() {
    let slurm = Slurm::new("jobs");
    slurm.manage("add account a_x");
    slurm.manage("add user alice account=a_x");
    assert_eq!(slurm.run("fake-slurm-job a_x alice 01:00:00 cpu=4").0, 0);
    assert_eq!(slurm.run("fake-slurm-job a_x mallory 01:00:00 cpu=4").0, 1);
    let usage = |accounts: &str, start: &str| {
        let format = "--format=Account,ReqTRES,Elapsed,User";
        let period = format!("--starttime={start} --endtime=9999-01-01");
        slurm.run(&format!(
            "sacct --parsable2 --noheader {period} --accounts={accounts} {format}"
        ))
    };
    assert_eq!(
        usage("a_x", "2000-01-01"),
        (0, "a_x|cpu=4|01:00:00|alice\n".to_owned())
    );
    assert_eq!(usage("a_y", "2000-01-01"), (0, String::new()));
    assert_eq!(usage("a_x", "9000-01-01"), (0, String::new()));
}
