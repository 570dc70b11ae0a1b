//! `backhaul policy ...`: what people who write policies need on their own machine.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256 as Hasher};

use super::arguments::{PolicyBuildArguments, PolicyInspectArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::printer::{Printer, Tone, one_line};
use super::units;
use crate::job::Sha256;
use crate::policy::build::{BuildRequest, Toolchain, encode};
use crate::policy::{self, COMPONENT_BYTES_MAX, CONTRACT_VERSION, Grants, Inspection, PolicySource, prebuilt};

/// `policy build`: the component is written whole or not at all.
pub(crate) fn build(arguments: &PolicyBuildArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let of_policy = |error| Failure::of(ExitCode::Policy, &error);
    let source = &arguments.source;
    if source.is_file() {
        let Some(output) = &arguments.output else {
            return Err(Failure::usage(format_args!(
                "{} is a module: say with -o FILE where to put the component",
                source.display()
            )));
        };
        let component = encode(&read_module(source)?).map_err(of_policy)?;
        return written(output, &component, printer);
    }
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => default_output(source)?,
    };
    let request = BuildRequest::new(source);
    request.check().map_err(of_policy)?;
    let toolchain = Toolchain::find().map_err(of_policy)?;
    printer.note(Tone::Dim, format_args!("building {} with {toolchain}", source.display()));
    let built = request.build(&toolchain).map_err(of_policy)?;
    written(&output, &built.component, printer)
}

/// At most one byte more than a component may have: a policy is refused for its size when it is loaded.
fn read_module(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::usage(format_args!("failed to read the module {}: {error}", path.display())))?;
    Ok(bytes)
}

fn written(output: &Path, component: &[u8], printer: &Printer) -> Result<ExitCode, Failure> {
    write_whole(output, component)?;
    let (bytes, digest) = (component.len(), Sha256(Hasher::digest(component).into()));
    printer.result(format_args!("{}: {bytes} bytes, sha256 {digest}", output.display()));
    Ok(ExitCode::Success)
}

/// `policy inspect`.
pub(crate) fn inspect(arguments: &PolicyInspectArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let source = match prebuilt::find(&arguments.policy) {
        Some(prebuilt) => PolicySource::Embedded(prebuilt.name.to_owned()),
        None => PolicySource::File(PathBuf::from(&arguments.policy)),
    };
    let inspection = policy::inspect(&source).map_err(|error| {
        let failure = Failure::of(ExitCode::Policy, &error);
        if arguments.json {
            let fault = error.fault().map(policy::Fault::code);
            let code = failure.code.number();
            printer.json(&json!({ "type": "error", "exit_code": code, "message": failure.message, "fault": fault }));
        }
        failure
    })?;
    if arguments.json {
        printer.json(&as_json(&inspection));
    } else {
        for (name, value) in rows(&inspection) {
            printer.result(format_args!("{name:<13} {value}"));
        }
    }
    Ok(ExitCode::Success)
}

/// What is shown to people: a name, and a value on one or more lines.
fn rows(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let Inspection { name, bytes, digest, descriptor, exported, imports, memory_bytes } = inspection;
    let list = |items: &mut dyn Iterator<Item = String>| match items.collect::<Vec<_>>() {
        items if items.is_empty() => "none".to_owned(),
        items => items.join(", "),
    };
    let not_asked = exported.iter().filter(|hook| !descriptor.hooks.contains(hook));
    let mut rows = vec![
        ("name", one_line(&descriptor.name)),
        ("version", one_line(&descriptor.version)),
        ("summary", one_line(&descriptor.summary)),
        ("loaded as", one_line(&name.0)),
        ("contract", format!("backhaul:policy {CONTRACT_VERSION}")),
        ("hooks", list(&mut descriptor.hooks.iter().map(|hook| hook.name().to_owned()))),
        ("not asked", list(&mut not_asked.map(|hook| hook.name().to_owned()))),
        ("capabilities", list(&mut descriptor.capabilities.iter().map(|name| one_line(name)))),
        ("imports", list(&mut imports.iter().map(|name| one_line(name)))),
        ("memory", memory(*memory_bytes)),
        ("component", format!("{bytes} bytes, sha256 {digest}")),
    ];
    rows.retain(|(name, value)| !(*name == "not asked" && value == "none"));
    if let Some(prebuilt) = prebuilt::all().iter().find(|prebuilt| prebuilt.origin.component == *digest) {
        rows.push(("embedded", format!("built by {}", prebuilt.origin.toolchain)));
    }
    rows.push(("settings", settings(&descriptor.settings_schema)));
    rows
}

fn memory(bytes: u64) -> String {
    let begin = format!("{} to begin with", units::bytes(bytes));
    match bytes > Grants::MEMORY_BYTES_DEFAULT as u64 {
        true => format!("{begin}: more than every policy has, so it needs --grant memory=SIZE"),
        false => begin,
    }
}

/// The settings by their JSON schema, one a line; the schema itself where it describes none.
fn settings(schema: &str) -> String {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return "none described".to_owned() };
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return schema.to_string();
    };
    let is_required =
        |name: &String| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    let mut text = String::new();
    for (name, property) in properties {
        text.push_str(&format!("\n  {}", one_line(name)));
        let kind = property["type"].as_str().map(str::to_owned);
        let default = property.get("default").map(|value| format!("default {value}"));
        let required = is_required(name).then(|| "required".to_owned());
        let facts: Vec<_> = [kind, default, required].into_iter().flatten().collect();
        if !facts.is_empty() {
            text.push_str(&format!(" ({})", one_line(&facts.join(", "))));
        }
        if let Some(description) = property["description"].as_str() {
            text.push_str(&format!(": {}", one_line(description)));
        }
    }
    text
}

fn as_json(inspection: &Inspection) -> Value {
    let Inspection { name, bytes, digest, descriptor, exported, imports, memory_bytes } = inspection;
    let schema: Option<Value> = serde_json::from_str(&descriptor.settings_schema).ok();
    json!({
        "name": descriptor.name,
        "version": descriptor.version,
        "summary": descriptor.summary,
        "loaded_as": name,
        "contract": CONTRACT_VERSION,
        "hooks": descriptor.hooks,
        "exported_hooks": exported,
        "capabilities": descriptor.capabilities,
        "imports": imports,
        "memory_bytes": memory_bytes,
        "bytes": bytes,
        "sha256": digest,
        "settings_schema": schema,
    })
}

/// `NAME.wasm` in the working directory, NAME being that of the crate's directory.
fn default_output(directory: &Path) -> Result<PathBuf, Failure> {
    let unnamed =
        || Failure::usage(format_args!("{} has no name to call the component by; give -o FILE", directory.display()));
    let real = directory.canonicalize().map_err(|error| {
        Failure::usage(format_args!("failed to open the directory {}: {error}", directory.display()))
    })?;
    let name = real.file_name().ok_or_else(unnamed)?;
    Ok(PathBuf::from(name).with_extension("wasm"))
}

fn write_whole(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        // A temporary file is its owner's alone; a component is an ordinary file.
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(output)?;
        Ok(())
    };
    write().map_err(|error| Failure::new(ExitCode::Output, format!("failed to write {}: {error}", output.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_must_be_granted_is_told() {
        assert_eq!(memory(2 << 20), "2.0 MiB to begin with");
        assert!(memory((2 << 20) + 1).ends_with("needs --grant memory=SIZE"));
    }

    #[test]
    fn settings_are_listed_with_what_they_are() {
        let schema = r#"{"properties": {"a": {"type": "number", "default": 1, "description": "x\ny"}, "b": {}}, "required": ["b"]}"#;
        assert_eq!(settings(schema), "\n  a (number, default 1): x\u{fffd}y\n  b (required)");
        assert_eq!(settings(""), "none described");
        assert_eq!(settings(r#"{"type":"object"}"#), r#"{"type":"object"}"#);
    }
}
