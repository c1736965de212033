//! The plan, case by case: what is seen and when, and what is to be done about it.
//! By what the command is ended for.

mod handover;
mod restarting;
mod stopping;
mod story;
