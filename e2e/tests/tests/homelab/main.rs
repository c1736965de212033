//! Rollouts for real: the operator from its chart on a cluster with a node, pods of the runner, and three hosts with
//! sshd, Docker, Compose and Git. Needs root and the images: `cargo test --package reeve-e2e-tests --test homelab --
//! --ignored`.

mod examples;
mod failures;
mod looks;
mod outages;
mod scene;
mod shop;
mod stage;
mod troubles;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};

use stage::Stage;

/// Each line is a test; what it names waits side by side, since none touches another.
macro_rules! side_by_side {
    ($stage:ident: $($name:ident = $module:ident { $($test:ident),+ $(,)? })+) => {
        vec![$({
            let stage = Arc::clone(&$stage);
            let test = async |stage: &Stage| {
                tokio::join!($(async {
                    $module::$test(stage).await;
                    println!(concat!(stringify!($module), "::", stringify!($test), " ... ok"));
                }),+);
            };
            Trial::test(concat!(stringify!($module), "::", stringify!($name)), move || {
                let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
                stage.get_or_insert_with(Stage::set).perform(test);
                Ok(())
            })
            .with_ignored_flag(true)
        }),+]
    };
}

fn main() -> ExitCode {
    let stage = Arc::new(Mutex::new(None::<Stage>));
    let trials = side_by_side! { stage:
        every_row_of_the_failure_table = failures {
            all_is_well_and_every_host_has_the_new_version,
            staging_fails_and_is_put_back,
            tests_fail_and_staging_is_put_back,
            production_fails_and_goes_back_to_its_snapshot,
            public_fails_three_times_and_production_stays,
            verification_fails_and_everything_is_put_back,
        }
        each_is_told_and_ends_as_it_should = troubles {
            a_host_that_shows_another_key_is_refused_before_anything_is_touched,
            too_little_space_is_told_before_anything_is_touched,
            a_task_of_proxmox_that_never_ends_fails_the_run_before_it_deploys,
            a_step_whose_pod_is_deleted_is_asked_for_and_nothing_is_done_twice,
            a_secret_that_is_gone_is_named_and_the_run_goes_on_when_it_is_back,
        }
        of_kubernetes_alone = examples {
            a_version_is_tested_approved_and_deployed_or_put_back,
        }
        nothing_is_left_of_them = looks {
            targets_and_snapshots_are_seen_to_without_a_run,
        }
        production_comes_back = outages {
            a_host_that_is_away_while_it_starts_is_asked_when_it_is_back_and_the_run_goes_on,
        }
        public_does_not = outages {
            a_public_host_that_stays_away_is_named_and_production_stays,
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    drop(stage);
    code
}
