//! What each model takes, as data (<https://platform.claude.com/docs/en/about-claude/models/overview>, and the pages
//! "What's new" and "Migrating" of each generation).

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It does not.
    Never,
    /// With a number of tokens.
    Budget,
    /// As it sees fit, guided by an effort.
    Adaptive,
    /// Either way.
    Either,
}

/// How a model is told not to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// By saying nothing.
    Silence,
    /// In so many words.
    Disabled,
    /// Not before it answers, only between calls of tools.
    BetweenTools,
    /// It can't be told.
    Impossible,
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// All.
    Free,
    /// Not `temperature` and `top_p` at once.
    Either,
    /// None.
    Fixed,
}

/// What a model takes.
#[derive(Debug)]
pub(super) struct Model {
    /// Parts of its names.
    names: &'static [&'static str],
    /// The most tokens it answers with.
    pub(super) most: u64,
    pub(super) thinks: Thinks,
    pub(super) off: Off,
    pub(super) sampling: Sampling,
    /// Whether it knows the effort `xhigh`; `max` stands for it elsewhere.
    pub(super) xhigh: bool,
    /// Whether it shows what it thinks without being told to.
    pub(super) shows: bool,
    /// Whether it thinks between calls of tools if a beta says so.
    pub(super) interleaves: bool,
    /// Whether it keeps to schemas: of answers, and of strict tools.
    pub(super) schemas: bool,
    /// Whether it can be made to call a tool.
    pub(super) forced: bool,
}

/// A model of the newest kind: a Claude that is not known is taken for one.
const NEWEST: Model = Model {
    names: &[],
    most: 128_000,
    thinks: Thinks::Adaptive,
    off: Off::Impossible,
    sampling: Sampling::Fixed,
    xhigh: true,
    shows: false,
    interleaves: false,
    schemas: true,
    forced: false,
};

/// The models that think with a number of tokens.
const BUDGET: Model = Model {
    most: 64_000,
    thinks: Thinks::Budget,
    off: Off::Silence,
    sampling: Sampling::Free,
    shows: true,
    interleaves: true,
    schemas: false,
    forced: true,
    ..NEWEST
};

/// The models that do not think.
const PLAIN: Model = Model { most: 4_096, thinks: Thinks::Never, interleaves: false, ..BUDGET };

/// A Claude that is not in the table.
static UNKNOWN: Model = NEWEST;

/// What may be no Claude at all: a deployment by its own name, or a model of those who copy the API. It is asked as the
/// caller asks.
static FOREIGN: Model =
    Model { thinks: Thinks::Either, off: Off::Disabled, sampling: Sampling::Free, shows: true, forced: true, ..NEWEST };

static MODELS: &[Model] = &[
    Model { names: &["opus-5-5", "fable-5-1", "fable-5-2", "mythos-5-1", "mythos-5-2"], ..NEWEST },
    Model { names: &["sonnet-5-5"], off: Off::BetweenTools, ..NEWEST },
    Model { names: &["fable-5", "mythos-5"], forced: true, ..NEWEST },
    Model { names: &["haiku-5-5", "opus-5", "sonnet-5"], off: Off::Disabled, forced: true, ..NEWEST },
    Model { names: &["opus-4-8", "opus-4-7"], off: Off::Silence, forced: true, ..NEWEST },
    Model {
        names: &["opus-4-6", "sonnet-4-6"],
        thinks: Thinks::Either,
        off: Off::Silence,
        sampling: Sampling::Either,
        xhigh: false,
        shows: true,
        forced: true,
        ..NEWEST
    },
    Model { names: &["opus-4-5", "sonnet-4-5", "haiku-4-5"], sampling: Sampling::Either, schemas: true, ..BUDGET },
    Model { names: &["opus-4-1"], most: 32_000, sampling: Sampling::Either, schemas: true, ..BUDGET },
    Model { names: &["sonnet-4", "4-sonnet"], ..BUDGET },
    Model { names: &["opus-4", "4-opus"], most: 32_000, ..BUDGET },
    Model { names: &["3-7-sonnet"], interleaves: false, ..BUDGET },
    Model { names: &["3-5-sonnet", "3-5-haiku"], most: 8_192, ..PLAIN },
    Model { names: &["claude-3", "claude-2", "claude-instant"], ..PLAIN },
];

impl Model {
    /// The model of a name, as any host spells it.
    pub(super) fn of(name: &str) -> &'static Self {
        let plain = name.to_ascii_lowercase().replace('.', "-");
        let known = MODELS.iter().find(|model| model.names.iter().any(|part| fits(&plain, part)));
        known.unwrap_or(if plain.contains("claude") { &UNKNOWN } else { &FOREIGN })
    }

    /// Whether it is in the table.
    pub(super) fn is_known(&self) -> bool {
        !self.names.is_empty()
    }
}

/// Whether a name has this part, and no later version behind it: `opus-5` is not part of `claude-opus-5-7`.
fn fits(name: &str, part: &str) -> bool {
    name.match_indices(part).any(|(at, _)| {
        let behind = &name[at + part.len()..];
        let digits = behind.strip_prefix('-').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let version = matches!(digits, 1 | 2) && !behind.starts_with("-0");
        !version && !behind.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_every_host_s_name_for_it() {
        let check = |name: &str, most: u64, thinks: Thinks, forced: bool| {
            let model = Model::of(name);
            assert_eq!((model.most, model.thinks, model.forced), (most, thinks, forced), "{name}");
        };
        check("claude-opus-5-5", 128_000, Thinks::Adaptive, false);
        check("claude-opus-5", 128_000, Thinks::Adaptive, true);
        check("anthropic.claude-sonnet-5-5", 128_000, Thinks::Adaptive, false);
        check("claude-sonnet-4-6", 128_000, Thinks::Either, true);
        check("claude-sonnet-4-5@20250929", 64_000, Thinks::Budget, true);
        check("us.anthropic.claude-haiku-4-5-20251001-v1:0", 64_000, Thinks::Budget, true);
        check("claude-opus-4.1", 32_000, Thinks::Budget, true);
        check("claude-opus-4-20250514", 32_000, Thinks::Budget, true);
        check("claude-sonnet-4-0", 64_000, Thinks::Budget, true);
        check("claude-3-7-sonnet-latest", 64_000, Thinks::Budget, true);
        check("claude-3-5-haiku-20241022", 8_192, Thinks::Never, true);
        check("claude-3-haiku-20240307", 4_096, Thinks::Never, true);
        for unknown in ["claude-opus-6", "claude-opus-5-7", "claude-sonnet-5-6", "my-deployment"] {
            assert!(!Model::of(unknown).is_known(), "{unknown}");
        }
        assert_eq!([Model::of("claude-opus-6").forced, Model::of("my-deployment").forced], [false, true]);
    }
}
