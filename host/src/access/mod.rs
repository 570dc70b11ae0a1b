//! Who may do what: subjects and their scopes, the rule of every endpoint, roots below which files may lie, addresses that may be
//! asked. Pure, but for the names of users: the edges (API, transfer engine) ask here and enforce what they are told.
//!
//! - `subject`, `scope`, `rules`: who calls, and whether it may.
//! - `tenants`, `roots`, `users`: what the jobs of an owner may do on the machine.
//! - `egress`: to which addresses they may connect.
//! - `token`: what stands for a subject over TCP.

mod egress;
mod roots;
mod rules;
mod scope;
mod subject;
mod tenants;
mod token;
mod users;

pub use egress::{Cidr, CidrError, EgressConfig, EgressRules};
pub use roots::{Reach, Root, RootTemplate, RootTemplateError};
pub use rules::{Caller, Needs, Sight, needs, ruled};
pub use scope::{Scope, Scopes, UnknownScope};
pub use subject::{Subject, SubjectError, TokenName};
pub use tenants::{AccessConfig, AccessError, EgressClass, FileOwner, Mode, SubjectConfig, Tenant, Tenants};
pub use token::{Secret, TokenDigest, TokenRecord};
pub use users::{NoSuchName, group_id, user_id};
