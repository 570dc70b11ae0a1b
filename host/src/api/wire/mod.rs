//! The shapes of the host API, as they stand in JSON. The server writes them, the client reads them, and the OpenAPI document is made
//! of them, so that the three cannot differ.
//!
//! Durations are seconds (fractions allowed), sizes bytes, times RFC 3339 in UTC with milliseconds; what is unknown is `null`. A request
//! with a field that is not known here is refused (422), and the field named: a misspelt property must not be taken for its default.
//! Clients take answers with fields that they do not know: fields may be added.

mod cost;
mod event;
mod file;
mod job;
mod network;
mod problem;
mod scalar;
mod strict;
mod token;
mod webhook;

pub use self::cost::{CostFlagsError, cost_flags_text, parse_cost_flags};
pub use self::event::{CutOffEvent, EventPage, EventView, MissedEvent, ProgressEvent};
pub use self::file::{
    FilePage, FilePatch, FileView, NewFile, NewFiles, RangeView, ResponseHeaderView, ResponseHeadersView,
};
pub use self::job::{
    CompletedJob, DecisionPage, DecisionView, ErrorView, FileProgressView, JobHeaders, JobHeadersView, JobPage,
    JobPatch, JobProgress, JobStateView, JobView, JobWhy, NewJob, NotifyFlag, PrefixReplaced, PrefixReplacement,
    WaitingOnView,
};
pub use self::network::{Health, NetworkOverride, NetworkView, PolicyView};
pub use self::problem::{FieldProblem, Problem};
pub use self::scalar::{Seconds, Time};
pub use self::token::{CreatedToken, NewToken, TokenView};
pub use self::webhook::{
    CreatedWebhook, DeliveryPage, DeliveryView, NewWebhook, TestedWebhook, WebhookList, WebhookPatch, WebhookView,
};

pub(crate) use self::strict::Object;
