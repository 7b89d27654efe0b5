//! What a model's name says about what it takes.
//!
//! <https://ai.google.dev/gemini-api/docs/thinking>, <https://ai.google.dev/gemini-api/docs/models>

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// Which family it is of.
    pub(super) family: Family,
    /// Its version: major and minor. Zero where the name has none.
    pub(super) version: (u8, u8),
    /// How it can be told how much to think.
    pub(super) thinks: Thinks,
}

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Gemini.
    Gemini,
    /// The open models, which have no place for instructions before the fourth generation.
    Gemma,
    /// A tuned model or an endpoint: the name says nothing.
    Unknown,
}

/// How a model can be told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// Not at all.
    Never,
    /// With a number of tokens.
    Budget {
        /// The fewest that are taken, if it thinks.
        least: u64,
        /// The most that are taken.
        most: u64,
        /// Whether it can be told not to think.
        off: bool,
        /// Whether it thinks unless told not to.
        on: bool,
    },
    /// With a word.
    Levels(&'static [Level]),
}

/// Google's words for how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Minimal,
    Low,
    Medium,
    High,
}

impl Level {
    /// On the wire.
    pub(super) fn name(self) -> &'static str {
        ["MINIMAL", "LOW", "MEDIUM", "HIGH"][self as usize]
    }
}

const LOW_OR_HIGH: &[Level] = &[Level::Low, Level::High];
const FROM_LOW: &[Level] = &[Level::Low, Level::Medium, Level::High];
const FROM_MINIMAL: &[Level] = &[Level::Minimal, Level::Low, Level::Medium, Level::High];

/// What a name without a version stands for, as `gemini-flash-latest`: the newest generation.
const LATEST: (u8, u8) = (3, u8::MAX);

impl Model {
    /// Read a name; whatever path stands before it does not matter.
    pub(super) fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let (family, rest) = match (name.strip_prefix("gemini-"), name.strip_prefix("gemma-")) {
            (Some(rest), _) => (Family::Gemini, rest),
            (_, Some(rest)) => (Family::Gemma, rest),
            _ => (Family::Unknown, ""),
        };
        let version = match family {
            Family::Gemini if rest.ends_with("-latest") && !rest.starts_with(|c: char| c.is_ascii_digit()) => LATEST,
            _ => version(rest),
        };
        Self { family, version, thinks: thinks(family, version, rest) }
    }

    /// Whether it is Gemini of this version or a later one. A name that says nothing is taken for a current model.
    pub(super) fn since(&self, major: u8, minor: u8) -> bool {
        match self.family {
            Family::Gemini => self.version >= (major, minor),
            Family::Gemma => false,
            Family::Unknown => (major, minor) <= (2, 5),
        }
    }

    /// Whether it has a place for instructions.
    pub(super) fn takes_system(&self) -> bool {
        self.family != Family::Gemma || self.version >= (4, 0)
    }
}

fn version(rest: &str) -> (u8, u8) {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let mut parts = rest.split('-').next().unwrap_or_default().splitn(2, '.');
    let major = parts.next().and_then(number).unwrap_or(0);
    (major, parts.next().and_then(number).unwrap_or(0))
}

fn thinks(family: Family, version: (u8, u8), rest: &str) -> Thinks {
    // models that paint, speak or listen refuse the setting
    let other = ["image", "tts", "audio", "live", "embedding"].iter().any(|word| rest.contains(word));
    let pro = rest.contains("pro");
    match family {
        Family::Unknown => Thinks::Budget { least: 0, most: 24_576, off: true, on: false },
        Family::Gemini if !other && version >= (3, 0) => Thinks::Levels(match (pro, version) {
            (true, (3, 0)) => LOW_OR_HIGH,
            (true, _) => FROM_LOW,
            (false, version) if version >= (3, 7) => FROM_LOW,
            (false, _) => FROM_MINIMAL,
        }),
        Family::Gemini if !other && version >= (2, 5) => match (pro, rest.contains("lite")) {
            (true, _) => Thinks::Budget { least: 128, most: 32_768, off: false, on: true },
            (_, true) => Thinks::Budget { least: 512, most: 24_576, off: true, on: false },
            _ => Thinks::Budget { least: 1, most: 24_576, off: true, on: true },
        },
        _ => Thinks::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_version() {
        for (name, version) in [
            ("gemini-2.5-flash", (2, 5)),
            ("models/gemini-3-pro-preview", (3, 0)),
            ("google/gemini-3.1-flash-lite", (3, 1)),
            ("gemini-flash-latest", LATEST),
            ("gemini-2.0-flash-001", (2, 0)),
            ("gemini-exp-1206", (0, 0)),
            ("gemma-3n-e4b-it", (3, 0)),
            ("1234567890", (0, 0)),
        ] {
            assert_eq!(Model::of(name).version, version, "{name}");
        }
    }
}
