//! Whether a request is meant by a rule or a route.

use std::borrow::Cow;

use http::HeaderName;
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use regex::Regex;

use super::facts::Facts;
use crate::config;

/// A text, its beginning, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly this.
    Exact(Box<str>),
    /// Whatever begins so.
    Begins(Box<str>),
}

impl Pattern {
    /// As it is written: `*` at the end stands for any rest.
    pub fn of(written: &str) -> Self {
        match written.strip_suffix('*') {
            Some(head) => Pattern::Begins(head.into()),
            None => Pattern::Exact(written.into()),
        }
    }

    /// Whether a text is meant.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(whole) => **whole == *text,
            Pattern::Begins(head) => text.starts_with(&**head),
        }
    }
}

/// One thing that must hold.
#[derive(Debug)]
enum Test {
    Model(Vec<Pattern>),
    Header(HeaderName, Vec<Pattern>),
    Metadata(String, Vec<Pattern>),
    User(Vec<Pattern>),
    Surface(Vec<String>),
    Stream(bool),
    Tokens(u64, u64),
    Time(Hours),
    Says(Vec<String>),
    SaysNot(Vec<String>),
    Speaks(Vec<Regex>),
}

/// All that must hold for a request to be meant.
#[derive(Debug, Default)]
pub struct Matcher(Vec<Test>);

impl Matcher {
    /// What the configuration says, which its rules have judged: what they would refuse is left out.
    pub fn of(given: &config::Match) -> Self {
        let patterns = |list: &[String]| list.iter().map(|one| Pattern::of(one)).collect::<Vec<_>>();
        let mut tests = Vec::new();
        // cheap ones first: what is said is only read when all else holds
        if !given.model.is_empty() {
            tests.push(Test::Model(patterns(&given.model)));
        }
        tests.extend(given.stream.map(Test::Stream));
        if !given.surface.is_empty() {
            tests.push(Test::Surface(given.surface.to_vec()));
        }
        for (name, values) in &given.header {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            tests.extend(name.map(|name| Test::Header(name, patterns(values))));
        }
        if let Some(tokens) = &given.tokens {
            tests.push(Test::Tokens(tokens.min.unwrap_or(0), tokens.max.unwrap_or(u64::MAX)));
        }
        tests.extend(given.time.as_ref().map(|hours| Test::Time(Hours::of(hours))));
        if !given.user.is_empty() {
            tests.push(Test::User(patterns(&given.user)));
        }
        tests.extend(given.metadata.iter().map(|(name, values)| Test::Metadata(name.clone(), patterns(values))));
        let lower = |list: &[String]| list.iter().map(|text| text.to_lowercase()).collect::<Vec<_>>();
        if !given.prompt_contains.is_empty() {
            tests.push(Test::Says(lower(&given.prompt_contains)));
        }
        if !given.prompt_not_contains.is_empty() {
            tests.push(Test::SaysNot(lower(&given.prompt_not_contains)));
        }
        if !given.prompt_regex.is_empty() {
            tests.push(Test::Speaks(given.prompt_regex.iter().filter_map(|text| Regex::new(text).ok()).collect()));
        }
        Self(tests)
    }

    /// Requests for exactly this model.
    pub fn model(model: &str) -> Self {
        Self(vec![Test::Model(vec![Pattern::Exact(model.into())])])
    }

    /// Requests for models that begin so.
    pub fn model_prefix(head: &str) -> Self {
        Self(vec![Test::Model(vec![Pattern::Begins(head.into())])])
    }

    /// The headers it asks for.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().filter_map(|test| match test {
            Test::Header(name, _) => Some(name),
            _ => None,
        })
    }

    /// Whether a model could be meant, whatever else the request says.
    pub fn takes_model(&self, model: &str) -> bool {
        self.0.iter().all(|test| !matches!(test, Test::Model(list) if !list.iter().any(|one| one.fits(model))))
    }

    /// Whether a request is meant that comes at this moment.
    pub fn holds(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        self.0.iter().all(|test| test.holds(facts, now))
    }

    /// The first thing that does not hold, in words; `None` if the request is meant.
    pub fn objection(&self, facts: &Facts<'_>, now: Timestamp) -> Option<String> {
        self.0.iter().find(|test| !test.holds(facts, now)).map(Test::words)
    }
}

impl Test {
    fn holds(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        let fits = |list: &[Pattern], text: Option<Cow<'_, str>>| {
            text.is_some_and(|text| list.iter().any(|pattern| pattern.fits(&text)))
        };
        match self {
            Test::Model(list) => list.iter().any(|pattern| pattern.fits(facts.model)),
            Test::Header(name, list) => fits(list, facts.header(name.as_str()).map(Cow::Borrowed)),
            Test::Metadata(name, list) => fits(list, facts.metadata(name)),
            Test::User(list) => fits(list, facts.user()),
            Test::Surface(list) => list.iter().any(|name| name == facts.call.op.name()),
            Test::Stream(wanted) => facts.call.stream == *wanted,
            Test::Tokens(least, most) => (*least..=*most).contains(&facts.tokens()),
            Test::Time(hours) => hours.hold(now),
            Test::Says(list) => says(facts, list),
            Test::SaysNot(list) => !says(facts, list),
            Test::Speaks(list) => facts.said().iter().any(|said| list.iter().any(|regex| regex.is_match(said))),
        }
    }

    fn words(&self) -> String {
        match self {
            Test::Model(_) => "the model is another".to_owned(),
            Test::Header(name, _) => format!("the header `{name}` is missing or another"),
            Test::Metadata(name, _) => format!("`metadata.{name}` is missing or another"),
            Test::User(_) => "the user is missing or another".to_owned(),
            Test::Surface(_) => "the surface is another".to_owned(),
            Test::Stream(wanted) => format!("it is {}a stream", if *wanted { "not " } else { "" }),
            Test::Tokens(..) => "the prompt is shorter or longer".to_owned(),
            Test::Time(_) => "it is not the time".to_owned(),
            Test::Says(_) => "the user has not said it".to_owned(),
            Test::SaysNot(_) => "the user has said it".to_owned(),
            Test::Speaks(_) => "nothing the user has said matches".to_owned(),
        }
    }
}

fn says(facts: &Facts<'_>, list: &[String]) -> bool {
    facts.said().iter().any(|said| {
        let said = said.to_lowercase();
        list.iter().any(|text| said.contains(text))
    })
}

/// Hours of a week in a time zone.
#[derive(Debug)]
struct Hours {
    /// The days on which they begin, Monday first.
    days: [bool; 7],
    from: u16,
    to: u16,
    zone: TimeZone,
}

impl Hours {
    fn of(given: &config::Hours) -> Self {
        let minute = |text: &Option<String>, usual| text.as_deref().and_then(config::Hours::minute).unwrap_or(usual);
        let mut days = [given.days.is_empty(); 7];
        given.days.iter().for_each(|day| days[*day as usize] = true);
        let zone = given.zone.as_deref().and_then(config::Hours::zone).unwrap_or(TimeZone::UTC);
        Self { days, from: minute(&given.from, 0), to: minute(&given.to, 24 * 60), zone }
    }

    fn hold(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let minute = u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        let today = now.weekday().since(Weekday::Monday).unsigned_abs() as usize % 7;
        let (day, yesterday) = (self.days[today], self.days[(today + 6) % 7]);
        if self.from < self.to {
            return day && (self.from..self.to).contains(&minute);
        }
        (day && minute >= self.from) || (yesterday && minute < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_hold_in_their_zone_and_past_midnight() {
        let hours = |yaml: &str| Hours::of(&serde_yaml::from_str::<config::Hours>(yaml).expect("hours"));
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let office = hours("{ days: [mon, fri], from: '08:00', to: '18:00', zone: '+02:00' }");
        // 2026-11-20 is a Friday
        assert!(office.hold(at("2026-11-20T06:00:00Z")));
        assert!(!office.hold(at("2026-11-20T05:59:59Z")));
        assert!(!office.hold(at("2026-11-20T16:00:00Z")));
        assert!(!office.hold(at("2026-11-21T10:00:00Z")));
        let night = hours("{ days: [fri], from: '22:00', to: '06:00' }");
        assert!(night.hold(at("2026-11-20T23:00:00Z")));
        assert!(night.hold(at("2026-11-21T05:59:00Z")));
        assert!(!night.hold(at("2026-11-20T05:00:00Z")));
        assert!(hours("{}").hold(at("2026-11-21T05:59:00Z")));
    }
}
