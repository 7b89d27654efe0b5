//! `ferrogw init`: a first configuration file, and a master key that is shown once and kept nowhere.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::banner;
use super::credentials::variable;
use super::output::{BOLD, Failed, Output, paint};
use crate::config::{self, Env};
use crate::providers::demo::DEMO;
use crate::providers::spec::Spec;
use crate::server::build;

/// What to write.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The format of the file [default: as the name of the output says, else yaml]
    #[arg(long, value_enum, ignore_case = true)]
    config_format: Option<FileFormat>,
    /// The file to write [default: config.yaml or config.json]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ask nothing; nothing is ever asked, so scripts may leave it out
    #[arg(long)]
    non_interactive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Yaml,
    Json,
}

/// Writes the file unless there is one already.
pub(super) fn run(args: &Args, env: &Env, output: Output) -> Result<(), Failed> {
    let _nothing_is_asked = args.non_interactive;
    let (path, format) = target(args)?;
    let present = build::present(env);
    let dir = std::env::current_dir()?;
    if args.output.is_none()
        && let Some(found) = config::find(None, &Env::default(), &dir)
    {
        return exists(found.path.strip_prefix(&dir).unwrap_or(&found.path), output);
    }
    let text = match format {
        FileFormat::Yaml => yaml(&present, env),
        FileFormat::Json => format!("{:#}\n", json(&present)),
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return exists(&path, output),
        Err(error) => return Err(Failed::because(format!("cannot write {}: {error}", path.display()))),
    };
    file.write_all(text.as_bytes())?;

    let key = master_key()?;
    let targets = names(&present);
    let value = json!({ "created": true, "file": path, "targets": targets, "master_key": key });
    output.print(&value, || welcome(&path, &present, &key, &start(&path, env, &dir), env))
}

fn target(args: &Args) -> Result<(PathBuf, FileFormat), Failed> {
    let Some(path) = &args.output else {
        let format = args.config_format.unwrap_or(FileFormat::Yaml);
        return Ok((PathBuf::from(if format == FileFormat::Json { "config.json" } else { "config.yaml" }), format));
    };
    let named = match config::Format::of(path) {
        Some(config::Format::Yaml) => FileFormat::Yaml,
        Some(config::Format::Json) => FileFormat::Json,
        None => {
            let message = "the name ends neither in .yaml or .yml nor in .json, so it could not be read";
            return Err(Failed::because(format!("{}: {message}", path.display())));
        }
    };
    if args.config_format.is_some_and(|format| format != named) {
        return Err(Failed::because(format!("{}: the name and --config-format disagree", path.display())));
    }
    Ok((path.clone(), named))
}

fn exists(path: &Path, output: Output) -> Result<(), Failed> {
    let path = path.display();
    output.print(&json!({ "created": false, "file": path.to_string() }), || {
        format!(
            "{path} exists: nothing was changed, and no key was made.\n\n  For a new master key: openssl rand -hex 24\n  \
             For a new file:       ferrogw init -o other.yaml\n"
        )
    })
}

/// `fgw_` and 16 random bytes in hex.
fn master_key() -> Result<String, Failed> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failed::because(format!("the system has no random bytes: {error}")))?;
    Ok(bytes.iter().fold("fgw_".to_owned(), |key, byte| format!("{key}{byte:02x}")))
}

fn names(present: &[&'static Spec]) -> Vec<&'static str> {
    if present.is_empty() { vec![DEMO.id] } else { present.iter().map(|spec| spec.id).collect() }
}

fn json(present: &[&'static Spec]) -> serde_json::Value {
    let targets: Vec<_> = names(present).into_iter().map(|id| json!({ "virtual_key": id })).collect();
    json!({ "strategy": { "mode": "fallback" }, "targets": targets })
}

fn yaml(present: &[&'static Spec], env: &Env) -> String {
    let mut text = HEAD.to_owned();
    for spec in present {
        text += &format!("  - virtual_key: {}", spec.id);
        if let Some(name) = variable(spec, env) {
            text += &format!(" # {name}");
        }
        text.push('\n');
    }
    text + if present.is_empty() { DEMO_TARGETS } else { MORE }
}

const HEAD: &str = "\
# Configuration of ferrogw. Check it with `ferrogw validate`; config.example.yaml names everything it can say.
# Keys of providers are read from the environment: this file holds no secrets.

strategy:
  mode: fallback # the targets in order, until one answers; `single` asks the first alone

targets:
";

const DEMO_TARGETS: &str = "  \
  # No provider's key was found, so here is the built-in demo: fixed answers, no network. Remove it when you have a key.
  - virtual_key: demo

  # With `export OPENAI_API_KEY=sk-...` take the # off these lines:
  # - virtual_key: openai
  #   retry: { attempts: 3 } # ask again after 408, 429 and 5xx
  #   weight: 1 # 0 takes it out of service
";

const MORE: &str = "
  # What a target can have beside its name:
  # - virtual_key: openai-eu
  #   provider: openai
  #   base_url: https://eu.api.openai.com/v1
  #   api_key: ${OPENAI_EU_KEY}
  #   retry: { attempts: 3 } # ask again after 408, 429 and 5xx
  #   weight: 1 # 0 takes it out of service
";

/// The command that starts with this file.
fn start(path: &Path, env: &Env, dir: &Path) -> String {
    match config::find(None, env, dir) {
        Some(found) if found.path == path || found.path == dir.join(path) => "ferrogw".to_owned(),
        _ => format!("ferrogw --config {}", path.display()),
    }
}

fn welcome(path: &Path, present: &[&'static Spec], key: &str, start: &str, env: &Env) -> String {
    let shown = if path.is_relative() { Path::new(".").join(path) } else { path.to_owned() };
    let url = format!("http://localhost:{}", env.get("PORT").unwrap_or("8080"));
    let curl = if present.is_empty() { banner::chat(&url, DEMO.id, true) } else { banner::models(&url, true) };
    let found = match present {
        [] => format!("demo (no provider's key is in the environment; see {})", path.display()),
        _ => names(present).join(", "),
    };
    format!(
        "\n  Master key (set as MASTER_KEY env var):\n  {key}\n\n  Config written to: {shown}\n  Targets: \
         {found}\n\n  Next steps:\n    export MASTER_KEY={key}\n    {start}\n\n  Then, in another shell with the \
         same MASTER_KEY:\n{curl}\n\n  {note} It is written nowhere: store it in your .env file or\n  secret \
         manager. It takes effect when it is exported as MASTER_KEY; without it the gateway\n  asks for no key and \
         serves this machine only.\n\n",
        shown = shown.display(),
        key = paint(BOLD, key),
        note = paint(BOLD, "The master key is shown once."),
    )
}
