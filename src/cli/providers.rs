//! `ferrogw providers`: whom the gateway can call, what each can do, and what of its settings is in the environment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::credentials::{self, Credentials};
use super::output::{BOLD, Failed, Output, paint, table};
use crate::config::Env;
use crate::providers::capabilities::{self, Effect};
use crate::providers::settings::Settings;
use crate::providers::spec::{Root, Spec, Var};
use crate::providers::table::{PROVIDERS, find};

/// What to show.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show everything about one provider, and what becomes of each parameter on the way to it
    Show {
        /// Its id, as `groq`
        id: String,
        /// The model that is asked: some parameters depend on its name
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
    },
}

/// One provider.
#[derive(Serialize)]
struct Provider {
    id: &'static str,
    aliases: &'static [&'static str],
    credentials: &'static str,
    /// Variables that are set, by name.
    set: Vec<&'static str>,
    missing: Vec<&'static str>,
    surfaces: Vec<Surface>,
    variables: Vec<Variable>,
    address: String,
    docs: &'static str,
    hint: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
}

#[derive(Serialize)]
struct Surface {
    name: &'static str,
    /// By which operation it is served; absent if it is the provider's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<&'static str>,
}

#[derive(Serialize)]
struct Variable {
    setting: &'static str,
    names: &'static [&'static str],
    needed: bool,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    effect: Effect,
}

/// Prints all of them in short, or one of them whole. Fails on an id that nobody has.
pub(super) fn run(args: &Args, env: &Env, output: Output) -> Result<(), Failed> {
    match &args.command {
        None => {
            let all: Vec<Provider> = credentials::all(env).into_iter().map(|found| provider(found, env)).collect();
            output.print(&all, || list(&all))
        }
        Some(Command::Show { id, model }) => {
            let found = credentials::all(env).into_iter().find(|found| spec(found).is_called(id));
            let Some(found) = found else {
                let known: Vec<_> = PROVIDERS.iter().map(|spec| spec.id).collect();
                return Err(Failed::because(format!("there is no provider `{id}`; there are {}", known.join(", "))));
            };
            let effects = capabilities::parameters(spec(&found), model.as_deref()).into_iter();
            let parameters = effects.map(|(name, effect)| Parameter { name, effect }).collect();
            let one = Provider { parameters, ..provider(found, env) };
            output.print(&one, || whole(&one))
        }
    }
}

fn spec(found: &Credentials) -> &'static Spec {
    find(found.provider).expect("credentials are those of the table's rows")
}

fn provider(found: Credentials, env: &Env) -> Provider {
    let spec = spec(&found);
    let surfaces = capabilities::surfaces(spec).into_iter();
    Provider {
        id: spec.id,
        aliases: spec.aliases,
        credentials: match &found {
            Credentials { complete: true, .. } => "present",
            Credentials { set, .. } if set.is_empty() => "absent",
            _ => "incomplete",
        },
        set: found.set,
        missing: found.missing,
        surfaces: surfaces
            .map(|(op, native)| Surface { name: op.name(), through: (!native).then_some("chat") })
            .collect(),
        variables: spec
            .vars
            .iter()
            .filter(|var| !var.names.is_empty())
            .map(|Var { setting, names, needed }| Variable { setting, names, needed: *needed })
            .collect(),
        address: address(spec, env),
        docs: spec.docs,
        hint: spec.hint,
        parameters: Vec::new(),
    }
}

/// Where its API stands as far as that is known here, without a user and a password.
fn address(spec: &Spec, env: &Env) -> String {
    let settings = Settings::resolve(spec, &BTreeMap::new(), env).unwrap_or_default();
    let given = spec.vars.iter().find(|var| var.setting == "base_url").and_then(|var| var.of(env));
    let found = match spec.root {
        Root::At(default) => {
            given.map(str::to_owned).or_else(|| settings.fill(default).ok()).unwrap_or_else(|| default.to_owned())
        }
        Root::By(place) => place(&settings).map(|place| place.base).unwrap_or_default(),
        Root::Inside => String::new(),
    };
    match found.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => found,
    }
}

/// Surfaces in a line: a star marks those that another one serves.
fn names(surfaces: &[Surface]) -> String {
    let name = |surface: &Surface| format!("{}{}", surface.name, if surface.through.is_some() { "*" } else { "" });
    surfaces.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn list(all: &[Provider]) -> String {
    let rows = all.iter().map(|one| {
        let variables = match (one.set.is_empty(), one.missing.is_empty()) {
            (false, false) => format!("{}; missing: {}", one.set.join(", "), one.missing.join(", ")),
            (true, _) => one.missing.join(", "),
            (_, true) => one.set.join(", "),
        };
        vec![one.id.to_owned(), one.credentials.to_owned(), variables, names(&one.surfaces), one.address.clone()]
    });
    let header = ["PROVIDER", "CREDENTIALS", "VARIABLES", "SURFACES", "ADDRESS"];
    format!("{}\n* served through chat\n", table(&header, rows.collect()))
}

fn whole(one: &Provider) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("Provider:", one.id.to_owned()),
        ("Aliases:", one.aliases.join(", ")),
        ("Address:", one.address.clone()),
        ("Surfaces:", names(&one.surfaces)),
        ("Credentials:", one.credentials.to_owned()),
        ("Set:", one.set.join(", ")),
        ("Missing:", one.missing.join(", ")),
        ("Docs:", one.docs.to_owned()),
        ("Hint:", one.hint.to_owned()),
    ] {
        if !value.is_empty() {
            text += &format!("{name:<14}{value}\n");
        }
    }
    let needed = |needed| if needed { "yes" } else { "" };
    let variables = one.variables.iter();
    let rows = variables.map(|var| vec![var.setting.to_owned(), var.names.join(" or "), needed(var.needed).to_owned()]);
    text += &format!("\n{}\n{}", paint(BOLD, "Settings"), table(&["SETTING", "VARIABLE", "NEEDED"], rows.collect()));
    let rows = one.parameters.iter().map(|param| vec![param.name.to_owned(), param.effect.name().to_owned()]);
    text += &format!("\n{}\n{}", paint(BOLD, "Parameters of chat"), table(&["PARAMETER", "EFFECT"], rows.collect()));
    text
}
