//! The tests, one file for each theme.

mod api_events;
mod api_jobs;
mod api_refusals;
mod api_serve;
mod catalogue;
mod cli_daemon;
mod demo;
mod disk;
mod encodings;
mod examples;
mod fetch;
mod guests;
mod hostile_guests;
mod kill;
mod lengths;
mod names;
mod ranges;
mod real_servers;
mod redirects;
mod retry_after;
mod slow;
mod statuses;
mod stores;
mod truncation;
mod usage;
mod versions;
