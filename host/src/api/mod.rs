//! The host API: HTTP/1.1 with JSON on a unix socket (design.md section 6).

pub mod wire;
