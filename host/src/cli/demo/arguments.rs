//! The command line of `demo`, and what it means.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::origin::Origin;
use crate::cli::get::{PolicyArguments, PolicyChoice, parse_network};
use crate::network::Network;
use crate::policy::{Grants, PolicySource};

const EXAMPLES: &str = "\
Examples:
  backhaul demo                            the whole story, in some ten seconds
  backhaul demo --json | jq                the same for programs
  backhaul demo --without mirrors          nobody repairs: the job ends in ERROR
  backhaul demo --policy my-policy.wasm    your policy instead of the embedded ones
  backhaul demo --keep demo-files          killed at any point, the same command goes on

The origin runs in this process, on two ports of 127.0.0.1. At the first it cuts two connections,
answers 503 once, then 404 for good; at the second the file lives on. The text of the 404 and its
Link header name the second address, for policies that look.

Exit codes: 0 the file is published, and is the right one; 1 the job ended in ERROR, or the file or
its price is wrong; 130 interrupted; see `backhaul exit-codes` for the others.";

const JSON_HELP: &str = "\
Print JSON lines to stdout: what happens, what the origin logs, progress, a summary at the end.

Every line has \"type\":
  job       id, seed, resumed, repointed, bytes_transferred, bytes_total, origin, mirror,
            file, state_dir, policies: once, first
  event     number, at (Unix milliseconds), job, kind, and what the kind has
  request   number, at, method, address, range, if_range, status, bytes_sent, end: the
            origin's own access log, a line when a response is over (complete, cut, aborted)
  progress  state, bytes_transferred, bytes_total (null while unknown),
            waiting_on {code, detail, until, policy, error}: once a second
  degraded  detail: why nothing can be stored at present, or null when it can again
  error     exit_code, message: for each thing that is not as it should be
  summary   exit_code, elapsed_seconds, seed, state, error, file, sha256, sha256_expected,
            bytes_total, bytes_durable_before, bytes_sent, bytes_sent_max,
            attempts [{remote_name, new_bytes, end, http_status}],
            decisions [{at, hook, policy, verdict, code, note}]: once, last, unless interrupted";

/// The arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArguments {
    /// What the file is made from, and where its connections are cut
    #[arg(long, value_name = "N", default_value_t = 1, allow_hyphen_values = true)]
    pub(super) seed: u64,

    /// Keep the file and the job's state in this directory, created if missing; else both are in a temporary one, and go with it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) keep: Option<PathBuf>,

    /// Run without this embedded policy; may be given for both
    #[arg(long, value_name = "NAME", conflicts_with = "policy")]
    pub(super) without: Vec<Embedded>,

    #[command(flatten)]
    pub(super) policies: PolicyArguments,

    /// What the network is said to be, as in `get`: offline, or a cost, for example near-cap,roaming
    #[arg(long, value_name = "NETWORK", default_value = "unrestricted", value_parser = parse_network)]
    pub(super) network: Network,

    /// Print JSON lines to stdout: what happens, what the origin logs, progress, a summary at the end
    #[arg(long, long_help = JSON_HELP)]
    pub(super) json: bool,
}

/// The embedded policies of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Embedded {
    /// Retries what fails transiently; without it the native built-in default does
    Standard,
    /// Repairs the address that is gone; without it nobody does
    Mirrors,
}

impl Embedded {
    /// In the order in which they are asked: the one that is seldom of an opinion first.
    const ALL: [Self; 2] = [Self::Mirrors, Self::Standard];

    const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Mirrors => "mirrors",
        }
    }
}

/// The policies of the run, in the order in which they are asked.
pub(super) fn policies(without: &[Embedded], given: Vec<PolicyChoice>, origin: &Origin) -> Vec<PolicyChoice> {
    let embedded = |name: &str, settings| PolicyChoice {
        source: PolicySource::Embedded(name.to_owned()),
        settings,
        grants: Grants::default(),
    };
    if given.is_empty() {
        let used = Embedded::ALL.into_iter().filter(|embedded| !without.contains(embedded));
        return used.map(|policy| embedded(policy.name(), settings_of(policy, origin))).collect();
    }
    // An embedded one that is asked for by name, and given no settings, has those of the story.
    let with_settings = |choice: PolicyChoice| match &choice.source {
        PolicySource::Embedded(name) if name == Embedded::Mirrors.name() && choice.settings == "{}" => {
            PolicyChoice { grants: choice.grants.clone(), ..embedded(name, settings_of(Embedded::Mirrors, origin)) }
        }
        _ => choice,
    };
    given.into_iter().map(with_settings).collect()
}

fn settings_of(policy: Embedded, origin: &Origin) -> String {
    match policy {
        Embedded::Standard => "{}".to_owned(),
        Embedded::Mirrors => {
            let prefixes = [origin.url(), origin.mirror_url()].map(|url| {
                let url = url.to_string();
                let directory = url.rfind('/').expect("a URL has a slash");
                url[..=directory].to_owned()
            });
            serde_json::json!({ "mirrors": prefixes }).to_string()
        }
    }
}
