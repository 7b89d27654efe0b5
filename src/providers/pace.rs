//! How long providers may take.

use std::time::Duration;

/// How long a provider may take, where the target says nothing (`providers.md`, appendix D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A hosted service.
    Hosted,
    /// One that loads models on demand or searches for minutes.
    Slow,
}

impl Pace {
    /// Time to the first byte of the answer.
    pub fn first_byte(self) -> Duration {
        Duration::from_secs(match self {
            Pace::Hosted => 120,
            Pace::Slow => 600,
        })
    }

    /// Silence in the middle of an answer.
    pub fn idle(self) -> Duration {
        Duration::from_secs(match self {
            Pace::Hosted => 60,
            Pace::Slow => 300,
        })
    }

    /// A whole answer that is not streamed.
    pub fn total(self) -> Duration {
        Duration::from_secs(match self {
            Pace::Hosted => 600,
            Pace::Slow => 1800,
        })
    }
}
