//! Runs cargo, bounded in time, with nothing from the environment that would change what comes out.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::toolchain::{StdLibrary, TARGET, Toolchain, sources_below};
use super::{BUILD_MINUTES_MAX, BuildError, BuildRequest, LockFile, Messages};

/// Instead of 1 MiB: a module with less memory is cheaper to instantiate, and every decision does so.
const STACK_BYTES: u32 = 32 << 10;

/// How often to look whether cargo has ended: not noticeable beside a build of seconds.
const POLL: Duration = Duration::from_millis(50);

/// Of cargo's messages, as much as anybody reads.
const MESSAGES_BYTES_MAX: u64 = 256 << 10;

/// Of one line of cargo's machine-readable output; they hold rendered diagnostics.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Compiles the guest and returns the module's bytes.
pub(super) fn module(request: &BuildRequest, toolchain: &Toolchain) -> Result<Vec<u8>, BuildError> {
    let (dir, manifest) = manifest(request)?;
    let mut command = command(request, toolchain, &dir);
    let child = command.spawn().map_err(|source| BuildError::Run { program: toolchain.cargo.clone(), source })?;
    let path = run(child, &dir, &manifest)?;
    std::fs::read(&path).map_err(|source| BuildError::Read { path, source })
}

/// The crate's directory and its manifest.
pub(super) fn manifest(request: &BuildRequest) -> Result<(PathBuf, PathBuf), BuildError> {
    let not_a_crate = |dir: &Path| BuildError::NotACrate { dir: dir.to_owned() };
    let dir = request.guest.canonicalize().map_err(|_| not_a_crate(&request.guest))?;
    let manifest = dir.join("Cargo.toml");
    if manifest.is_file() { Ok((dir, manifest)) } else { Err(not_a_crate(&dir)) }
}

fn command(request: &BuildRequest, toolchain: &Toolchain, dir: &Path) -> Command {
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(match request.messages {
        Messages::PassedOn => Stdio::inherit(),
        Messages::Collected => Stdio::piped(),
    });
    command.args(["rustc", "--release", "--lib", "--crate-type", "cdylib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.arg("--config").arg(rustflags(toolchain, &workspace(toolchain, dir)));
    if let Some(target_dir) = &request.target_dir {
        command.arg("--target-dir").arg(target_dir);
    }
    if request.lock_file == LockFile::Kept {
        command.arg("--locked");
    }
    if toolchain.std_library == StdLibrary::FromSource {
        command.args(["-Z", "build-std=std,panic_abort"]);
    }
    isolate(&mut command, std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    // Building the standard library is a nightly feature of cargo, which a release offers under this name.
    match toolchain.std_library {
        StdLibrary::FromSource => command.env("RUSTC_BOOTSTRAP", "1"),
        StdLibrary::Installed => command.env_remove("RUSTC_BOOTSTRAP"),
    };
    command.env("RUSTC", &toolchain.rustc);
    if let Some(linker) = &toolchain.linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    command
}

/// Flags meant for the host's own compilation would change the component or break its build.
fn isolate(command: &mut Command, names: impl Iterator<Item = String>) {
    const VARIABLES: [&str; 9] = [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_INCREMENTAL",
        // The jobserver of a cargo that runs us has no place for another one.
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    const PREFIXES: [&str; 2] = ["CARGO_PROFILE_", "CARGO_TARGET_WASM32_"];
    for name in names {
        if VARIABLES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// The root of the guest's workspace. The flags name it rather than the guest, so that all guests of a workspace share what they compile.
fn workspace(toolchain: &Toolchain, dir: &Path) -> PathBuf {
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(dir).args(["locate-project", "--workspace", "--message-format", "plain"]);
    // If cargo does not understand the manifest, the build says why.
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    let manifest = PathBuf::from(String::from_utf8_lossy(&output).trim_end());
    manifest.parent().filter(|root| root.is_absolute()).unwrap_or(dir).to_owned()
}

/// The stack, and paths that are the same on every machine: they are in the messages of panics.
fn rustflags(toolchain: &Toolchain, workspace: &Path) -> String {
    let mut flags = vec!["-C".to_owned(), format!("link-arg=-zstack-size={STACK_BYTES}")];
    let mut remap = |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    // Of several that fit, the last one counts.
    remap(workspace, "/policy");
    if let Some(home) = cargo_home() {
        remap(&home, "/cargo");
    }
    let library = sources_below(&toolchain.sysroot);
    remap(&library, "/rust/library");
    if let Ok(real) = library.canonicalize() {
        remap(&real, "/rust/library");
    }
    let flags: Vec<String> = flags.iter().map(|flag| toml_string(flag)).collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(","))
}

fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

fn toml_string(text: &str) -> String {
    // Both formats escape alike what occurs in paths.
    serde_json::Value::from(text).to_string()
}

/// A line of cargo's machine-readable output, as far as it is of interest.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Waits for cargo and returns the path of the module.
fn run(mut child: Child, dir: &Path, manifest: &Path) -> Result<PathBuf, BuildError> {
    let stdout = child.stdout.take().expect("standard output is piped");
    let stderr = child.stderr.take();
    let (status, module, messages) = std::thread::scope(|scope| {
        let module = scope.spawn(|| module_in(stdout, manifest));
        let messages = scope.spawn(|| stderr.map(first_of).unwrap_or_default());
        // Both end with cargo, which holds the other ends of their pipes.
        let status = wait(&mut child);
        (status, module.join().unwrap_or_default(), messages.join().unwrap_or_default())
    });
    match status {
        Ok(Some(status)) if status.success() => module.ok_or_else(|| BuildError::NoModule { dir: dir.to_owned() }),
        Ok(Some(_)) => Err(BuildError::CargoFailed { dir: dir.to_owned(), messages }),
        Ok(None) => Err(BuildError::TimedOut { dir: dir.to_owned() }),
        Err(source) => Err(BuildError::Run { program: "cargo".into(), source }),
    }
}

/// The exit status, or none if the time was up and cargo was killed.
fn wait(child: &mut Child) -> std::io::Result<Option<std::process::ExitStatus>> {
    let polls = u128::from(BUILD_MINUTES_MAX) * 60_000 / POLL.as_millis();
    for _ in 0..polls {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn module_in(stdout: impl Read, manifest: &Path) -> Option<PathBuf> {
    let mut reader = BufReader::new(stdout);
    let mut module = None;
    loop {
        let mut line = Vec::new();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
        if read == 0 {
            return module;
        }
        let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
        if message.reason == "compiler-artifact" && message.manifest_path == manifest {
            let made = message.filenames.into_iter().find(|file| file.extension().is_some_and(|e| e == "wasm"));
            module = made.or(module);
        }
    }
}

fn first_of(stderr: impl Read) -> String {
    let mut reader = BufReader::new(stderr);
    let mut bytes = Vec::new();
    // An error while reading costs the rest of the messages, not the build.
    let _ = reader.by_ref().take(MESSAGES_BYTES_MAX).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut reader, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::testing::executable;
    use super::super::{BuildError, BuildRequest, StdLibrary, Toolchain};
    use super::{command, module};

    fn toolchain(cargo: PathBuf) -> Toolchain {
        let (rustc, sysroot) = ("/usr/bin/rustc".into(), "/nowhere".into());
        Toolchain {
            rustc,
            cargo,
            sysroot,
            linker: None,
            std_library: StdLibrary::FromSource,
            version: "rustc".to_owned(),
        }
    }

    /// A crate, and a cargo that does what the script says.
    fn guest(dir: &Path, script: &str) -> (BuildRequest, Toolchain) {
        fs::write(dir.join("Cargo.toml"), "").unwrap();
        let cargo = dir.join("cargo");
        executable(&cargo, &format!("#!/bin/sh\n{script}\n"));
        (BuildRequest::new(dir).quiet(), toolchain(cargo))
    }

    #[test]
    fn the_module_is_the_one_that_cargo_names_for_the_guest() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let artifact = |manifest: &Path, file: &str| {
            let files = [real.join(file), real.join("other.d")];
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest, "filenames": files})
        };
        let lines = [
            artifact(Path::new("/elsewhere/Cargo.toml"), "dependency.wasm").to_string(),
            "not JSON".to_owned(),
            serde_json::json!({"reason": "build-script-executed"}).to_string(),
            artifact(&real.join("Cargo.toml"), "guest.wasm").to_string(),
            serde_json::json!({"reason": "build-finished", "success": true}).to_string(),
        ];
        let (request, toolchain) = guest(dir.path(), &format!("cat <<'END'\n{}\nEND", lines.join("\n")));
        fs::write(dir.path().join("guest.wasm"), "bytes").unwrap();
        assert_eq!(module(&request, &toolchain).unwrap(), b"bytes");
    }

    #[test]
    fn a_build_that_fails_says_what_cargo_said() {
        let dir = tempfile::tempdir().unwrap();
        let (request, toolchain) = guest(dir.path(), "echo 'error: no such thing' >&2; exit 101");
        let error = module(&request, &toolchain).unwrap_err();
        assert!(matches!(error, BuildError::CargoFailed { .. }), "{error}");
        assert!(error.to_string().ends_with("error: no such thing\n"), "{error}");
    }

    #[test]
    fn a_build_without_a_module_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (request, toolchain) = guest(dir.path(), "exit 0");
        assert!(matches!(module(&request, &toolchain), Err(BuildError::NoModule { .. })));
    }

    #[test]
    fn a_directory_without_a_crate_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for dir in [dir.path().to_owned(), dir.path().join("absent")] {
            let error = module(&BuildRequest::new(&dir), &toolchain("cargo".into())).unwrap_err().to_string();
            assert!(error.contains("holds no Cargo.toml"), "{error}");
        }
    }

    #[test]
    fn cargo_that_cannot_be_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (request, _) = guest(dir.path(), "");
        let error = module(&request, &toolchain("/absent/cargo".into())).unwrap_err().to_string();
        assert_eq!(error, "cannot run /absent/cargo");
    }

    #[test]
    fn flags_of_the_surroundings_do_not_reach_the_compiler() {
        let mut command = std::process::Command::new("cargo");
        let names = [
            "RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
            "CARGO_HOME",
            "PATH",
        ];
        super::isolate(&mut command, names.into_iter().map(str::to_owned));
        let removed: Vec<&OsStr> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        let mut expected = names[..4].to_vec();
        expected.sort_unstable();
        assert_eq!(removed, expected);
    }

    #[test]
    fn the_command_follows_the_toolchain() {
        let dir = tempfile::tempdir().unwrap();
        let from_source = Toolchain { linker: Some("/llvm/wasm-ld".into()), ..toolchain("cargo".into()) };
        let installed = Toolchain { std_library: StdLibrary::Installed, linker: None, ..from_source.clone() };
        let request = BuildRequest::new(dir.path()).target_dir("relative").locked();
        let built = command(&request, &from_source, dir.path());
        let arguments: Vec<&OsStr> = built.get_args().collect();
        let target_dir = std::env::current_dir().unwrap().join("relative");
        for expected in [OsStr::new("build-std=std,panic_abort"), target_dir.as_os_str(), OsStr::new("--locked")] {
            assert!(arguments.contains(&expected), "{expected:?} in {arguments:?}");
        }
        let variables: BTreeMap<&OsStr, Option<&OsStr>> = built.get_envs().collect();
        assert_eq!(variables[OsStr::new("RUSTC_BOOTSTRAP")], Some(OsStr::new("1")));
        assert_eq!(
            variables[OsStr::new("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER")],
            Some(OsStr::new("/llvm/wasm-ld"))
        );

        let built = command(&BuildRequest::new(dir.path()), &installed, dir.path());
        assert!(
            !built.get_args().any(|argument| argument == "-Z" || argument == "--locked" || argument == "--target-dir")
        );
        let variables: BTreeMap<&OsStr, Option<&OsStr>> = built.get_envs().collect();
        assert_eq!(variables[OsStr::new("RUSTC_BOOTSTRAP")], None);
    }
}
