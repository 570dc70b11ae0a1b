//! The settings that are texts: who may connect, from where, and to where jobs may.

use std::path::Path;

use toml::Value;

use super::Config;
use crate::access::{Mode, RootTemplate};

/// One text, or a list of them: what it is, and where it goes.
#[derive(Debug)]
pub struct TextSetting {
    /// The section of the file.
    pub section: &'static str,
    /// Its key in the section.
    pub key: &'static str,
    /// One text or several.
    pub form: Form,
    /// A value that could be.
    pub example: &'static str,
    /// What it is for, and why its default is what it is.
    pub reason: &'static str,
    /// Reads it: no text where it is not set.
    pub get: fn(&Config) -> Vec<String>,
    /// Writes it, or says what is wrong. Paths are relative to the directory of the file.
    set: fn(&mut Config, Vec<String>, &Path) -> Result<(), String>,
}

/// How many texts a setting has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// At most one.
    Text,
    /// Any number.
    List,
}

impl TextSetting {
    /// Section and key.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The value as it could stand in the file; none where it is not set.
    #[must_use]
    pub fn show(&self, config: &Config) -> Option<String> {
        let mut texts = (self.get)(config).into_iter().map(Value::String);
        match self.form {
            Form::Text => texts.next().map(|text| text.to_string()),
            Form::List => Some(Value::Array(texts.collect()).to_string()),
        }
    }

    /// Reads a value of the file.
    pub(super) fn read(&self, config: &mut Config, value: &Value, directory: &Path) -> Result<(), String> {
        // Users and groups may be numbers.
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let texts = match (self.form, value) {
            (Form::Text, value) => text(value).map(|text| vec![text]),
            (Form::List, Value::Array(values)) => values.iter().map(text).collect(),
            (Form::List, _) => None,
        };
        let form = if self.form == Form::Text { "a text" } else { "a list of texts" };
        (self.set)(config, texts.ok_or_else(|| format!("is {form}, for example {}", self.example))?, directory)
    }
}

fn optional(text: Option<&impl ToString>) -> Vec<String> {
    text.map(ToString::to_string).into_iter().collect()
}

fn path(path: Option<&std::path::PathBuf>) -> Vec<String> {
    path.map(|path| path.display().to_string()).into_iter().collect()
}

/// Parses each text; the first that cannot be is told.
fn parsed<T, E: std::fmt::Display>(texts: &[String], parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, String> {
    texts.iter().map(|text| parse(text).map_err(|error| error.to_string())).collect()
}

/// A path of the file, from where the file lies.
fn relative(texts: Vec<String>, directory: &Path) -> Option<std::path::PathBuf> {
    texts.into_iter().next().map(|text| directory.join(text))
}

/// Every one of them, section by section; those of `api` stand behind its numbers.
pub static TEXTS: &[TextSetting] = &[
    TextSetting {
        section: "api",
        key: "listen",
        form: Form::Text,
        example: "\"127.0.0.1:7447\"",
        reason: "Where the API is offered over TCP as well, to whoever has a token. Nowhere, unless it is asked for; off loopback only with a certificate.",
        get: |config| optional(config.tcp.listen.as_ref()),
        set: |config, texts, _| {
            let listen = parsed(&texts, |text| {
                text.parse().map_err(|_| "is an address with a port, for example \"127.0.0.1:7447\"")
            })?;
            config.tcp.listen = listen.into_iter().next();
            Ok(())
        },
    },
    TextSetting {
        section: "api",
        key: "host_names",
        form: Form::List,
        example: "[\"backhaul.example.org\"]",
        reason: "Names by which clients know this host, beside localhost and the address that it listens on. A request for another name is refused: a page in somebody's browser may have been given one that leads here.",
        get: |config| config.tcp.host_names.clone(),
        set: |config, texts, _| {
            config.tcp.host_names = parsed(&texts, |text| {
                let is_name = url::Host::parse(text).is_ok() && !text.contains(['/', ' ', '@', '*']);
                if is_name {
                    Ok(text.to_owned())
                } else {
                    Err(format!("{text:?} is no name of a host: write it without a scheme and a port"))
                }
            })?;
            Ok(())
        },
    },
    TextSetting {
        section: "api",
        key: "origins",
        form: Form::List,
        example: "[\"https://console.example.org\"]",
        reason: "Origins of pages whose scripts may ask over TCP, beside this host itself. None: no page does.",
        get: |config| config.tcp.origins.clone(),
        set: |config, texts, _| {
            config.tcp.origins = parsed(&texts, |text| {
                let origin = url::Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
                match origin {
                    Some(origin) if origin.ascii_serialization() == text => Ok(text.to_owned()),
                    _ => Err(format!(
                        "{text:?} is no origin: write scheme, name and port, as in https://console.example.org"
                    )),
                }
            })?;
            Ok(())
        },
    },
    TextSetting {
        section: "api",
        key: "tls_certificate",
        form: Form::Text,
        example: "\"/etc/backhaul/tls.pem\"",
        reason: "The certificate of the API over TCP with those that vouch for it, PEM. Without one, only loopback is listened on.",
        get: |config| path(config.tcp.tls_certificate.as_ref()),
        set: |config, texts, directory| {
            config.tcp.tls_certificate = relative(texts, directory);
            Ok(())
        },
    },
    TextSetting {
        section: "api",
        key: "tls_key",
        form: Form::Text,
        example: "\"/etc/backhaul/tls.key\"",
        reason: "Its private key, PEM.",
        get: |config| path(config.tcp.tls_key.as_ref()),
        set: |config, texts, directory| {
            config.tcp.tls_key = relative(texts, directory);
            Ok(())
        },
    },
    TextSetting {
        section: "access",
        key: "mode",
        form: Form::Text,
        example: "\"multi\"",
        reason: "\"single\": one user, whoever the daemon runs as. \"multi\": several; each sees its own jobs, and its files lie below its roots.",
        get: |config| match config.access.mode {
            Mode::Single => vec!["single".into()],
            Mode::Multi => vec!["multi".into()],
        },
        set: |config, texts, _| {
            let modes = parsed(&texts, |text| match text {
                "single" => Ok(Mode::Single),
                "multi" => Ok(Mode::Multi),
                _ => Err("is \"single\" or \"multi\""),
            })?;
            config.access.mode = modes.into_iter().next().unwrap_or_default();
            Ok(())
        },
    },
    TextSetting {
        section: "access",
        key: "socket_group",
        form: Form::Text,
        example: "\"backhaul\"",
        reason: "The group whose members may connect to the socket, by name or number; several users need one.",
        get: |config| optional(config.access.socket_group.as_ref()),
        set: |config, texts, _| {
            config.access.socket_group = texts.into_iter().next();
            Ok(())
        },
    },
    TextSetting {
        section: "access",
        key: "administrators",
        form: Form::List,
        example: "[\"admin\", 1000]",
        reason: "Users who see all jobs, say what the network is, make tokens and take jobs over, by name or number; root and the daemon's own user do anyway.",
        get: |config| config.access.administrators.clone(),
        set: |config, texts, _| {
            config.access.administrators = texts;
            Ok(())
        },
    },
    TextSetting {
        section: "access",
        key: "default_roots",
        form: Form::List,
        example: "[\"/srv/backhaul/{uid}\"]",
        reason: "Directories below which the files of a subject without an entry in [[subjects]] lie; {uid} is a user's number. None: such a subject has no files.",
        get: |config| config.access.default_roots.iter().map(ToString::to_string).collect(),
        set: |config, texts, _| {
            config.access.default_roots = parsed(&texts, RootTemplate::new)?;
            Ok(())
        },
    },
    TextSetting {
        section: "egress",
        key: "allow",
        form: Form::List,
        example: "[\"10.20.0.0/16\"]",
        reason: "Blocks of addresses that jobs of tokens may connect to although they are not public: a caller from elsewhere must not reach what only this machine does.",
        get: |config| config.access.egress.allow.iter().map(ToString::to_string).collect(),
        set: |config, texts, _| {
            config.access.egress.allow = parsed(&texts, str::parse)?;
            Ok(())
        },
    },
    TextSetting {
        section: "egress",
        key: "deny",
        form: Form::List,
        example: "[\"169.254.169.254\"]",
        reason: "Blocks of addresses that no job may connect to, whoever owns it; stronger than allow.",
        get: |config| config.access.egress.deny.iter().map(ToString::to_string).collect(),
        set: |config, texts, _| {
            config.access.egress.deny = parsed(&texts, str::parse)?;
            Ok(())
        },
    },
];
