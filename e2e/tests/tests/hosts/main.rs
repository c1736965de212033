//! The runner on real hosts: network namespaces, each with a real sshd, one with a real dockerd and Compose, and a Git
//! repository. Needs root: `cargo test --package reeve-e2e-tests --test hosts -- --ignored`.

mod deploy;
mod fence;
mod lab;
mod looks;
mod secrets;
mod ssh;
mod troubles;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use lab::Lab;
use libtest_mimic::{Arguments, Trial};

/// The tests, under the names that the standard runner would give them.
macro_rules! tests {
    ($lab:ident: $($module:ident { $($test:ident),+ $(,)? })+) => {
        vec![$($({
            let lab = Arc::clone(&$lab);
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), move || {
                let mut lab = lab.lock().unwrap_or_else(PoisonError::into_inner);
                lab.get_or_insert_with(Lab::bring_up).perform($module::$test);
                Ok(())
            })
            .with_ignored_flag(true)
        },)+)+]
    };
}

fn main() -> ExitCode {
    let lab = Arc::new(Mutex::new(None::<Lab>));
    let trials = tests! { lab:
        ssh {
            keys_of_all_kinds_are_let_in_with_and_without_passphrase,
            a_host_that_is_not_known_or_shows_another_key_is_refused,
            a_host_is_reached_through_another_one,
            what_is_not_there_or_not_ours_is_told_apart,
        }
        secrets {
            files_are_put_beside_the_live_ones_and_taken_away_when_the_run_ends,
            what_a_run_could_not_take_away_goes_with_the_next_that_has_the_lock,
        }
        deploy {
            a_commit_is_deployed_once_and_put_back_with_its_secrets,
            a_deployment_that_dies_is_told_with_its_last_lines_and_without_secrets,
            what_somebody_has_changed_is_never_overwritten,
            a_commit_that_is_not_of_the_revision_is_refused,
            a_host_that_lacks_something_is_told_before_anything_is_touched,
            checks_are_made_from_here_and_from_the_host,
        }
        looks {
            a_look_takes_no_lock_and_tells_of_one,
            files_that_drifted_are_named_and_left,
            snapshots_by_commands_are_listed_taken_and_missed,
        }
        fence {
            a_second_run_is_told_who_has_the_host,
            the_lock_of_an_ended_run_is_taken_over_by_its_own_rollout_alone,
            an_overtaken_attempt_does_nothing,
            an_attempt_whose_report_was_lost_is_waited_for_and_counted,
            tests_on_a_host_are_counted_by_their_report,
            what_a_command_prints_is_never_taken_for_the_words_of_our_scripts,
            variables_of_any_name_reach_a_command_on_a_host,
        }
        troubles {
            a_host_that_goes_away_in_the_middle_is_asked_what_became_of_it,
            a_host_that_goes_away_while_its_containers_start_is_asked_too,
            a_command_that_takes_too_long_is_ended_on_the_host,
            a_full_disk_is_named_wherever_it_strikes,
            docker_that_is_not_there_or_refuses_is_told_from_compose,
            a_failed_health_check_brings_the_last_lines_without_secrets,
            a_script_of_ones_own_that_fails_is_told_with_its_last_lines,
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    drop(lab);
    code
}
