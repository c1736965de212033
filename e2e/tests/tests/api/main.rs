//! The operator on API servers without nodes: what it does, what it says, what it sends, and what it survives.
//! Needs root: `cargo test --package reeve-e2e-tests --test api -- --ignored`.

mod burst;
mod children;
mod claims;
mod denials;
mod groups;
mod leadership;
mod mistakes;
mod monitors;
mod outage;
mod preflight;
mod process;
mod put_back;
mod refusals;
mod restarts;
mod rights;
mod rollout_verbs;
mod rollouts;
mod standbys;
mod switches;
mod targets;
mod traces;
mod verbs;

use std::process::ExitCode;

use reeve_e2e_tests::Suite;

/// Adds functions to the suite under the names that the standard runner would give them.
macro_rules! tests {
    ($suite:ident: $($module:ident { $($test:ident),+ $(,)? })+) => {
        $($($suite.add(concat!(stringify!($module), "::", stringify!($test)), $module::$test);)+)+
    };
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    tests! { suite:
        mistakes {
            an_object_written_past_the_schema_is_told_which_field_is_wrong_and_others_go_on,
            a_missing_secret_is_named_and_once_it_appears_children_exist_within_two_seconds,
            a_renamed_key_is_named_and_running_agents_are_left_as_they_are,
            a_token_that_cannot_be_one_is_refused_without_being_shown,
            names_of_253_characters_and_with_dots_get_distinct_children_of_at_most_63,
            hostile_values_reach_the_agents_as_they_are_and_harm_nobody,
            a_name_taken_by_a_foreign_object_is_told_and_the_foreign_object_stays_as_it_is,
        }
        refusals {
            the_api_server_itself_refuses_bad_specs_and_names_field_and_remedy,
            twenty_mistakes_that_the_api_server_takes_are_all_told_in_status,
        }
        children {
            a_child_that_is_deleted_or_loses_its_labels_is_made_whole,
            what_others_change_in_a_child_is_taken_back_and_what_they_add_stays,
            a_strategy_changed_by_hand_is_put_right_though_it_excludes_ours,
            kubectl_rollout_restart_restarts_and_rollout_undo_finds_its_configuration,
            a_rotated_token_restarts_only_the_agents_that_use_it,
        }
        switches {
            a_suspended_object_is_left_alone_says_so_and_catches_up_when_resumed,
            a_stopped_object_has_no_pods_and_is_ready,
            each_new_reconcile_token_is_handled_once_and_echoed,
            a_deleted_object_leaves_nothing_behind,
            at_every_moment_status_tells_the_truth_as_kstatus_reads_it,
        }
        targets {
            named_fields_of_any_objects_are_set_and_put_back,
            a_map_comes_back_without_what_was_added,
            a_field_that_somebody_else_has_set_is_left_and_one_that_is_not_there_is_named,
        }
        monitors {
            a_pod_monitor_is_made_once_its_type_is_served_and_until_then_nothing_waits_for_it,
        }
        standbys {
            standbys_can_be_switched_on_and_off_on_an_object_that_runs,
            a_failover_is_told_once_also_when_the_operator_was_replaced,
        }
        put_back {
            a_template_whose_agent_never_runs_is_put_back_and_stays_so_until_it_is_asked_for_again,
        }
        restarts {
            a_restart_is_told_once_with_its_cause_also_when_the_operator_was_replaced,
        }
        claims {
            a_second_object_with_the_same_duties_is_refused_and_starts_when_the_pods_of_the_first_are_gone,
            an_object_of_another_namespace_is_not_named,
            of_two_created_at_once_one_serves_and_an_operator_killed_in_between_changes_nothing,
            an_offering_that_turns_to_events_is_held_back_until_its_polling_agent_has_let_go,
            two_objects_exchange_their_offerings_without_ever_serving_one_twice,
        }
        groups {
            offerings_of_another_image_and_user_have_pods_of_their_own_and_only_those_are_root,
            an_offering_that_becomes_roots_is_served_by_root_only_when_its_former_pods_are_gone,
        }
        preflight {
            a_first_start_waits_for_its_jobs_which_go_once_the_deployments_are_there,
            a_change_that_fails_leaves_what_runs_and_rolls_once_it_is_put_right,
            a_diagnosis_is_made_once_and_changes_nothing,
        }
        leadership {
            after_kill_9_the_other_replica_leads_within_the_lease_duration_plus_one_second,
            after_sigterm_the_other_replica_leads_within_two_seconds,
            a_leader_frozen_past_its_lease_writes_nothing_afterwards_and_stands_again,
        }
        outage {
            an_api_server_that_restarts_is_found_again,
            an_api_server_away_for_a_minute_costs_the_lead_but_no_restart,
            an_api_server_that_asks_for_rest_gets_it,
        }
        process {
            logs_are_json_their_filter_changes_at_run_time_and_metrics_are_served,
            no_secret_is_shown_in_logs_status_events_or_anything_but_secrets,
            readiness_names_a_missing_definition_and_comes_by_itself,
            readiness_names_a_missing_right_and_comes_by_itself,
        }
        traces {
            a_collector_gets_a_span_for_each_pass_and_log_lines_name_their_trace,
        }
        verbs {
            kubectl_reeve_restart_rolls_the_modes_it_names_and_waits_for_the_new_pods,
            kubectl_reeve_restart_and_logs_say_why_there_is_nothing_to_do,
        }
    }
    rollouts(&mut suite);
    suite.add_alone(
        "burst::a_thousand_objects_cost_nothing_once_they_have_their_children_not_even_after_a_restart",
        burst::a_thousand_objects_cost_nothing_once_they_have_their_children_not_even_after_a_restart,
    );
    suite.add_alone(
        "burst::two_hundred_rollouts_at_once_all_end_as_they_should",
        burst::two_hundred_rollouts_at_once_all_end_as_they_should,
    );
    suite.run()
}

fn rollouts(suite: &mut Suite) {
    tests! { suite:
        rollouts {
            a_homelab_is_deployed_in_eight_phases_told_of_and_then_left_alone,
            each_failure_ends_as_the_table_says,
            the_leader_killed_in_preflight_changes_nothing,
            the_leader_killed_while_secrets_are_brought_changes_nothing,
            the_leader_killed_while_a_snapshot_is_taken_changes_nothing,
            the_leader_killed_in_staging_changes_nothing,
            the_leader_killed_during_tests_changes_nothing,
            the_leader_killed_in_production_changes_nothing,
            the_leader_killed_in_public_changes_nothing,
            the_leader_killed_in_verification_changes_nothing,
            a_lost_result_is_asked_for_and_no_effect_is_repeated,
            a_second_run_waits_for_the_lock_names_its_holder_or_is_aborted,
            people_approve_suspend_abort_retry_and_roll_back,
            a_new_revision_supersedes_the_run_and_a_deletion_lets_the_step_end,
            receivers_are_told_by_jobs_and_a_failure_to_do_so_fails_nothing,
        }
        rights {
            every_right_that_the_chart_grants_is_used,
            verbs_on_rollouts_are_for_the_groups_that_the_chart_names,
            in_single_namespaces_roles_suffice_and_nothing_else_is_touched,
        }
        denials {
            a_status_that_cannot_be_written_at_begin_or_end_delays_a_rollout_and_nothing_more,
            a_job_of_a_rollout_that_is_refused_is_told_and_counts_for_nothing,
        }
        rollout_verbs {
            a_run_is_watched_to_its_question_approved_and_followed_to_its_end,
            a_failed_run_is_told_to_scripts_tried_again_and_put_back,
            a_run_that_is_aborted_ends_for_both_who_follow_it,
            targets_are_looked_at_and_the_operator_leaves_the_jobs_to_the_plugin,
        }
    }
}
