//! The whole product on a real cluster: the operator from its chart, the real upstream agent in pods, a fake Waldur.
//! Needs root and the images: `cargo test --package reeve-e2e-tests --test pods -- --ignored`.

mod agents;
mod events;
mod examples;
mod listener;
mod operator;
mod preflight;
mod root;
mod secure;
mod stage;
mod standbys;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};

use stage::Stage;

/// The tests, in this order and on one stage: bringing it up takes longer than all of them.
struct Play {
    stage: Arc<Mutex<Option<Stage>>>,
    trials: Vec<Trial>,
}

impl Play {
    fn add<T>(&mut self, name: &'static str, test: T)
    where
        T: AsyncFnOnce(&Stage) + Send + 'static,
    {
        let stage = Arc::clone(&self.stage);
        let trial = Trial::test(name, move || {
            let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            stage.get_or_insert_with(Stage::set).perform(test);
            Ok(())
        });
        self.trials.push(trial.with_ignored_flag(true));
    }
}

/// Adds functions to the play under the names that the standard runner would give them.
macro_rules! tests {
    ($play:ident: $($module:ident { $($test:ident),+ $(,)? })+) => {
        $($($play.add(concat!(stringify!($module), "::", stringify!($test)), $module::$test);)+)+
    };
}

/// Adds a test to the play that consists of several, which wait side by side, since they do not touch one another.
macro_rules! side_by_side {
    ($play:ident: $name:ident = $($module:ident { $($test:ident),+ $(,)? })+) => {
        $play.add(concat!("side_by_side::", stringify!($name)), async |stage: &Stage| {
            tokio::join!($(async { $(
                $module::$test(stage).await;
                println!(concat!(stringify!($module), "::", stringify!($test), " ... ok"));
            )+ }),+);
        });
    };
}

fn main() -> ExitCode {
    let mut play = Play {
        stage: Arc::default(),
        trials: Vec::new(),
    };
    tests! { play:
        agents {
            the_example_becomes_ready_and_waldur_sees_the_three_polling_modes,
            an_order_is_approved_and_its_account_made_through_sacctmgr,
            an_idle_pod_stops_long_before_its_grace_is_over,
            a_pod_in_the_middle_of_an_order_finishes_it_before_it_stops,
            the_plugin_shows_what_agents_write_and_goes_on_with_the_pods_of_a_restart,
            an_agent_that_is_killed_is_started_again_in_its_pod,
        }
        preflight {
            a_wrong_token_leaves_the_pods_as_they_are_and_is_named,
            an_image_without_the_commands_is_found_before_orders_fail,
        }
        agents {
            another_token_rolls_the_pods,
        }
        standbys {
            standbys_are_added_to_a_site_that_works_and_only_one_pod_works,
            an_agent_that_is_killed_or_stopped_comes_back_in_its_pod,
            after_its_supervisor_was_killed_the_pod_or_its_standby_works_on,
            a_deleted_pod_hands_over_as_soon_as_it_has_ended,
            a_pod_that_is_lost_without_a_word_is_replaced_within_the_lease_duration,
            a_handover_that_is_asked_for_is_done_in_order,
            a_rollout_costs_one_handover_because_the_leading_pod_goes_last,
            a_template_whose_agent_exits_at_its_start_is_put_back_and_the_former_one_works_on,
            without_standbys_again_one_pod_is_left_and_works,
        }
        operator {
            a_leading_operator_pod_that_is_killed_is_replaced_and_the_agents_do_not_notice,
            an_upgrade_of_the_chart_restarts_no_agent,
        }
        examples {
            another_image_goes_through_the_sites_of_two_namespaces_one_after_the_other,
        }
    }
    side_by_side! { play: plain_and_over_tls_and_as_root_agents_carry_out_orders =
        events { an_event_agent_hears_of_an_order_and_says_that_it_is_connected }
        secure { over_tls_an_event_agent_trusts_the_authority_of_ca_ref }
        root { an_agent_that_is_root_has_no_capability_and_carries_out_an_order }
    }
    side_by_side! { play: what_goes_wrong_without_a_restart_shows_and_heals =
        events {
            a_dropped_connection_comes_back_by_itself,
            a_broker_that_refuses_shows_and_is_no_reason_to_restart,
            a_revoked_token_shows_within_a_period_and_so_does_its_return,
        }
        secure {
            another_authority_leaves_the_pod_as_it_is_and_is_named_and_put_right_it_rolls,
            a_slurm_mount_that_is_not_there_leaves_the_pod_as_it_is_and_is_named_and_put_right_it_rolls,
        }
    }
    side_by_side! { play: what_a_restart_heals_is_restarted =
        events { a_connection_on_which_nothing_comes_any_more_shows_and_the_agent_is_restarted }
        secure { a_waldur_without_queues_is_named }
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, play.trials).exit_code()
}
