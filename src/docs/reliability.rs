//! What the provider promises, and the tests that try to break it.
//!
//! Each line is a promise and the tests that stand for it, by name; `cargo test <name>` runs one. What "usable" means
//! everywhere: the provider's own clock has not reached the expiry yet.
//!
//! # Callers
//!
//! | promise | tests |
//! |---|---|
//! | While credentials are usable nobody waits, but for a second at most in the last minute if the task is late, and never until they have expired | `no_promise_is_broken_in_any_life`, `nobody_waits_until_what_was_at_hand_has_expired`, `a_month_of_refreshes_without_a_wait`, `after_a_suspension_into_the_last_minute_a_caller_waits_a_second_at_most`, `ten_second_credentials_asked_for_every_millisecond_for_a_minute` |
//! | An outage that ends before expiry costs no request anything | `an_outage_that_ends_before_expiry_costs_nothing`, `the_last_half_minute_is_enough_to_recover_in`, `a_source_that_hung_until_five_seconds_before_expiry_has_cost_nothing` |
//! | Expired credentials are served only after recoverable failures, and never if `serve_expired(false)` | `no_promise_is_broken_in_any_life`, `a_permanent_error_is_never_papered_over_once_credentials_have_expired`, `without_serve_expired_callers_get_the_last_error_at_once_and_no_call_of_their_own` |
//! | However many callers wait, they wait for one request; one that is cancelled cancels nothing | `a_thousand_callers_that_give_up_every_50_ms_are_served_by_one_call`, `a_caller_dropped_after_any_number_of_polls_leaves_the_flight_to_the_next`, `select_and_abort_cancel_nothing`, `ten_thousand_callers_on_a_cold_provider_one_request_irsa` |
//! | All users of `shared()` in a process have one provider and cause one request; it ends with the last of them, and holds no secret after that | `shared_fetches_once_for_a_thousand_clients`, `shared_fetches_once_for_first_calls_that_race`, `registry_returns_one_provider_to_calls_that_race`, `shared_ends_with_its_last_user_and_begins_again`, `registry_holds_neither_provider_nor_environment_after_the_last_user` |
//! | A request that is served at once allocates nothing and takes no lock | `whoever_is_served_at_once_allocates_nothing`, `a_state_that_serves_until_a_moment_serves_at_every_earlier_one` |
//! | A service client never fails or waits because of a refresh | `refreshes_cost_a_client_nothing` |
//!
//! # The source
//!
//! | promise | tests |
//! |---|---|
//! | One attempt at a time, and none within a second of the last but at a cold start | `no_promise_is_broken_in_any_life` |
//! | An outage costs the source some ten attempts an hour while credentials are usable, then they are 1–30 s apart | `an_outage_costs_some_ten_attempts`, `no_promise_is_broken_in_any_life` |
//! | Its end is found after three eighths of the validity that was left, ten minutes at most; after expiry within 30 s and the time limit of an attempt | `no_promise_is_broken_in_any_life` |
//! | A fleet that one deployment started, or that an outage has hit, does not come back together | `the_refresh_moment_spans_the_first_half_of_the_window`; `cargo run --release --example fleet` |
//! | The same credentials again, as the agent hands them out, are a success and no reason to ask again | `the_same_credentials_again_are_no_reason_to_ask_again`, `the_same_credentials_again_are_a_success_and_no_loop` |
//! | A source that comes up after the pod is waited for, for 20 s | `a_cold_start_is_patient_for_twenty_seconds`, `an_agent_that_starts_after_the_pod_is_waited_for` |
//!
//! # Clocks, runtimes, files
//!
//! | promise | tests |
//! |---|---|
//! | A clock that jumps or a process that is suspended neither storms the source nor rests for hours | `a_clock_that_is_set_back_neither_storms_nor_rests_for_hours`, `after_a_suspension_past_expiry_the_next_caller_waits_for_fresh_credentials`, `no_jump_of_the_clock_makes_it_rest_for_ever` |
//! | After a refusal the task tries again by itself: a pod that starts before its trust policy is effective becomes ready | `a_pod_that_was_denied_at_its_start_becomes_ready_without_another_request`, `retries_after_a_refusal_slow_down_to_one_a_minute` |
//! | Credentials that a service has refused are not served again, unless the source itself has no others | `rejected_credentials_are_not_served_again_after_a_failed_refresh`, `credentials_that_are_handed_out_again_after_a_refusal_are_served_and_asked_for_less_and_less`, `other_credentials_end_the_refusal_of_the_old_ones`, `expired_credentials_that_a_service_refuses_are_served_no_longer`, `credentials_that_are_refused_after_their_expiry_are_not_served_in_the_outage_that_follows`, `a_clock_that_is_set_back_does_not_bring_refused_credentials_back` |
//! | A service that refuses the credentials is answered by one refresh and another attempt (`recovery()`) | `a_role_that_is_recreated_under_a_running_client_costs_no_failed_call_and_one_refresh`, `a_hundred_refusals_at_the_same_time_cause_one_refresh`, `without_retries_one_call_fails_and_the_next_has_new_credentials`, `a_service_that_refuses_every_key_causes_one_refresh_and_no_more`, `other_refusals_and_requests_of_others_change_nothing`, `renew_depends_on_key_age_and_expiry`, `invalidate_renews_our_current_identity_and_forgets_those_of_others` |
//! | A slow path to STS works, a rotated CA bundle is read again, and a volume that hangs takes two threads | `a_slow_path_works_within_the_budget_of_a_cold_start_and_a_configured_limit_is_kept`, `a_bundle_that_was_rotated_with_the_certificate_is_read_again_at_once`, `a_volume_that_hangs_takes_two_threads_however_often_it_is_asked` |
//! | Inside a cluster the example programs start no local pod, and they end at SIGTERM, also as process 1 | `image_programs_explain_missing_credentials_in_a_cluster`, `image_programs_refuse_stand_ins_in_a_cluster`, `image_programs_have_no_stand_ins_anywhere`, `image_readiness_answers_begun_requests_after_sigterm`, `image_programs_end_on_sigterm_as_pid_1`, `image_programs_run_on_a_read_only_root_without_tmp` |
//! | A wrong clock neither hides credentials of STS nor delays their refresh | `a_wrong_clock_neither_hides_credentials_nor_delays_their_refresh`, `a_small_skew_changes_nothing`, `when_the_clock_is_corrected_the_credentials_are_fetched_anew`, `in_an_outage_a_clock_that_is_set_back_does_not_prolong_the_life_of_credentials`, `no_promise_is_broken_in_any_life`, `nothing_follows_from_times_that_contradict_each_other`, `the_date_of_sts_corrects_the_expiry_over_tls_and_not_over_plain_http` |
//! | Credentials of the EKS agent past their expiry are used if there is nothing better | `credentials_past_their_expiry_are_used_as_in_an_outage_if_there_is_nothing_better`, `credentials_past_their_expiry_are_refused_if_they_are_old_or_not_wanted` |
//! | An attempt during which the machine slept is not a failure | `an_attempt_that_slept_does_not_count_and_the_next_caller_gets_fresh_credentials`, `callers_after_a_suspension_in_the_middle_of_a_refresh_get_no_expired_credentials` |
//! | A provider outlives the runtimes that it is used on, and needs none of them: not one with time or I/O, not one that is polled, no free blocking thread | `a_fetch_survives_the_runtime_of_the_caller_that_began_it`, `runtimes_side_by_side_share_a_static_provider_and_its_one_flight`, `a_runtime_without_time_or_io_gets_credentials_and_nothing_panics`, `any_executor_can_wait_for_credentials`, `a_runtime_that_is_not_polled_delays_nobody_else`, `credentials_are_refreshed_while_the_runtime_of_the_program_rests`, `busy_blocking_threads_of_the_program_delay_no_fetch` |
//! | The last provider takes its task, its connection and its memory with it | `the_last_provider_closes_the_connection_of_the_fetch_under_way`, `ten_thousand_providers_leave_no_task_no_descriptor_and_no_memory` |
//! | A provider at rest holds less than 36 KiB, and 10,000 refreshes make it hold no more | `a_provider_holds_little_and_grows_by_nothing_over_ten_thousand_refreshes` |
//! | A token is read whole and is never older than the attempt, however fast kubelet rotates | `ten_thousand_swaps_and_every_fetch_sends_a_whole_token_no_older_than_itself` |
//! | A volume that hangs holds up no other task of the runtime, and no attempt for more than 5 s | `a_read_that_hangs_holds_up_neither_the_runtime_nor_the_next_read` |
//!
//! # Threads and memory
//!
//! | promise | tests |
//! |---|---|
//! | No wake-up is lost and nobody hangs, in whatever order callers, driver and runtimes come, go and are cancelled | `cold_callers_of_two_runtimes_are_served_at_once_by_one_call`, `a_caller_cancelled_at_any_moment_takes_no_wake_up_along`, `callers_cancelled_all_at_once_leave_their_flight_to_the_next`, `a_runtime_that_ends_in_a_fetch_hands_it_over_at_once`, `a_runtime_that_ends_at_any_moment_strands_nobody`, `callers_who_find_the_driver_gone_at_once_start_one_between_them`, `a_driver_at_rest_is_woken_at_once` |
//! | A driver that was replaced or closed writes nothing more, and the last provider leaves no secret in the cache | `a_driver_that_was_replaced_publishes_nothing_more`, `the_last_provider_leaves_nothing_behind_whatever_the_driver_is_about`, `the_cache_takes_nothing_from_a_driver_that_was_replaced_or_closed_in_any_order`, `no_change_of_the_cache_is_lost_or_seen_by_halves_in_any_order` |
//! | What a service refused is served to nobody who asks later | `what_was_refused_is_served_to_nobody_who_asks_later_whatever_lands_meanwhile` |
//! | No memory is read wrongly or lost while everything happens at once | `readers_callers_runtimes_and_providers_come_and_go_all_at_once` |
//! | Of what the crate holds of tokens and keys nothing is left in memory when the last provider is dropped; what dependencies leave is bounded | `irsa_over_plain_http_leaves_each_answer_once`, `irsa_over_https_leaves_each_answer_three_times`, `pod_identity_leaves_the_head_of_each_request_and_each_answer_once`, `a_token_in_the_environment_stays_there_and_nowhere_else`, `reply_buffer_never_grows`, `the_largest_file_leaves_no_copies_of_a_buffer_that_grew`, `the_longest_form_leaves_no_copies_of_a_buffer_that_grew` |
//!
//! What each covers. A model checker (shuttle) runs the real cache, callers and driver on models of mutex, `Notify`,
//! `watch`, runtime and clock: 20,000 random and 20,000 PCT schedules of each scenario, and all orders of the cache alone.
//! It takes every atomic for sequentially consistent, and arc-swap for one indivisible step. Valgrind's memcheck runs the
//! real thing, arc-swap, tokio and hyper included, over loopback: it sees reads of freed or uninitialised memory, and
//! leaks; it runs one thread at a time and sees no races. What none of them covers: weak memory orderings inside arc-swap
//! and tokio (this crate has no atomics of its own, and forbids `unsafe`); races as a detector finds them, because drd and
//! helgrind take the futexes of the standard library for races, and ThreadSanitizer needs a standard library that was
//! built for it; undefined behaviour as Miri finds it, which needs a nightly toolchain; TLS under memcheck.
//!
//! What dependencies leave in memory, as the tests above measure and pin it: hyper and rustls free their buffers without
//! wiping them, and what was in them stays until the allocator uses that memory again. Each answer, with secret key and
//! session token, is left once over plain http and three times over https; the service account token once a request to
//! the agent, in the head of the request, and not at all in a request to STS. A token that is given in
//! `AWS_CONTAINER_AUTHORIZATION_TOKEN` also stays in the environment of the process, which nothing wipes: use the token
//! file. Who must leave nothing takes a global allocator that wipes what is freed. Not looked at: the kernel's socket
//! buffers, swap, core dumps.
//!
//! # The network
//!
//! | promise | tests |
//! |---|---|
//! | The agent is asked directly, whatever proxies the environment names; STS goes through them | `the_agent_is_never_asked_through_a_proxy`, `each_variable_for_https_leads_sts_to_the_proxy_and_those_for_http_do_not`, `sts_is_reached_through_a_proxy_that_alone_can_resolve_it`, `no_proxy_names_hosts_and_networks_that_are_asked_directly` |
//! | A certificate that is untrusted, out of its time or for another name is refused, and the error says which | `the_bundle_decides_whom_to_trust`, `a_certificate_out_of_its_time_or_for_another_name_is_refused_as_such`, `without_a_bundle_a_private_ca_is_not_trusted` |
//! | At its real addresses, whatever the network does to it: each fault is told as what it is, and retried | `the_agent_answers_at_both_of_its_real_addresses`, `a_blackhole_is_a_timeout`, `a_rejected_connection_is_refused`, `a_reset_instead_of_an_answer_is_one`, `credentials_come_through_a_network_that_loses_packets`, `an_agent_that_comes_fifteen_seconds_after_the_pod_is_waited_for`, `an_agent_that_restarts_is_not_noticed_under_load` |
//! | Plain http goes only to allowed addresses, and to the one that was checked | `a_name_with_an_address_that_is_not_allowed_is_refused_whatever_else_it_has`, `a_name_that_leads_nowhere_is_an_error_that_may_pass`, `a_name_that_changes_leads_to_the_vetted_address_or_nowhere` |
//!
//! # What is said
//!
//! | promise | tests |
//! |---|---|
//! | `Status`, its subscribers and the events tell each refresh and each failure, once, and as loudly as it deserves | `no_promise_is_broken_in_any_life`, `observers_see_every_change` |
//! | Every fault of either protocol, in every state, has its kind, its number of attempts, and a message with cause and remedy | `every_fault_is_met_as_it_must_be_and_explained` |
//! | A diagnosis (feature `diagnose`) asks once and leaves what is served alone; every one of its findings can be produced, says what to do, and shows no secret; no input makes it panic, or gets into a command that is to be pasted | `a_diagnosis_asks_once_and_leaves_what_is_served_alone`, `every_fault_is_found_and_what_is_said_of_it_is_as_it_was_read`, `there_is_a_fault_for_every_finding_and_a_snapshot_for_every_fault`, `the_catalogue_in_the_documentation_is_whole_and_its_examples_are_real`, `hostile_input_ends_in_findings` |
//! | No secret in `Debug`, errors, panics or logs, at TRACE neither, of this crate or any other in the process | `every_fault_is_met_as_it_must_be_and_explained`, `nothing_that_can_be_printed_shows_a_secret`, `no_error_shows_what_a_hostile_or_broken_server_sent` |
//! | Whatever a server, a token file, a URI, a date or the environment holds: no panic, and credentials that are whole or an error of one line and bounded length that shows no secret | `the_corpus_of_every_fuzz_target_and_every_finding_keep_their_promises`; `bash fuzz/run 600` looks for more, with 1 MiB as the most that one allocation may take |
//! | The metrics are those of the table, tell what happened, and nothing of requests that are served at once | `a_scrape_shows_what_the_table_says_and_what_happened` |
//!
//! # Refusals
//!
//! | promise | tests |
//! |---|---|
//! | Only a refusal in the form of the service that was called, with a code that is known to be permanent, ends the retries, takes expired credentials away or switches to the other source: see [`failures`](crate::docs::failures) | `every_fault_is_met_as_it_must_be_and_explained`, `matrix_has_every_row_of_the_documented_tables`, `verdict_falls_back_only_after_a_permanent_refusal` |
//! | Every code that the AWS SDKs retry is retried here | `sts_refusal_is_transient_for_every_code_that_the_sdks_retry`, `agent_refusal_is_transient_for_every_code_that_the_sdks_retry` |
//! | No error repeats the token, in whatever form a server sends it back | `errors_never_repeat_a_token_that_a_server_has_transformed`, `echo_is_seen_in_every_form` |
//!
//! # Migration
//!
//! | promise | tests |
//! |---|---|
//! | On the road from IRSA to Pod Identity by rolling deployments no call fails, also if the role's trust is taken from pods that still live by it | `no_call_fails_on_the_road_from_irsa_to_pod_identity` |
//! | With a fallback a permanent denial hands over loudly, an outage does not, and the next refresh after the denial has ended goes back | `with_fallback_a_denial_hands_over_and_an_outage_does_not`, `no_call_fails_on_the_road_from_irsa_to_pod_identity` |
//! | To look at the method that does not serve touches nothing that is served, delays no refresh, and is nobody's error | `the_shadow_asks_the_other_source_once_and_serves_nothing_of_it`, `a_shadow_that_hangs_delays_nothing_and_is_given_up_after_an_attempts_time`, `a_shadow_that_fails_is_in_the_status_and_nowhere_else`, `methods_of_the_same_account_are_ready_to_cut_over_and_what_is_served_is_not_touched` |
//!
//! # Lives by the seed
//!
//! `no_promise_is_broken_in_any_life` lives through one or two weeks of virtual time a seed: callers at random rates,
//! outages of every kind and length, lifetimes from 10 s to 12 h, clocks set forward and back, runtimes that end. At every
//! ask it checks the promises above. `EKS_CREDENTIALS_SEEDS=5000` runs so many; a failure prints its seed, and
//! `EKS_CREDENTIALS_SEED=<seed>` replays it.
//!
//! # What no test covers
//!
//! Real STS and a real agent: the stand-ins behave as both were measured and as their documentation says. Windows:
//! nothing was tried there.
