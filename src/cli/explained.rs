//! An explanation for people: which route, who is in or out and why, the order, the price, what would be sent.

use serde_json::Value;

use super::output::{BOLD, FAINT, RED, YELLOW, paint, table};

/// As a text of several paragraphs.
pub(super) fn text(said: &Value) -> String {
    let stream = if said["stream"] == true { ", streamed" } else { "" };
    let mut text = format!("{} ({}{stream})", paint(BOLD, word(&said["model"])), word(&said["surface"]));
    if let Some(chain) = said["alias_of"].as_array() {
        text += &format!(" = {}", chain.iter().map(word).collect::<Vec<_>>().join(", then "));
    }
    text.push('\n');
    if said["recorded"].is_object() {
        text += &recorded(&said["recorded"]);
    }
    for model in list(&said["models"]) {
        text += &route(model);
        text += &candidates(list(&model["candidates"]));
    }
    if let Some(error) = said.get("error") {
        text += &format!(
            "\n{}: {} ({})\n",
            paint(RED, "nobody would be asked"),
            word(&error["words"]),
            word(&error["code"])
        );
    }
    text += &order(&said["order"]);
    text + &sent(&said["sent"])
}

/// The route, what kept the others, and the strategy.
fn route(model: &Value) -> String {
    let mut text = format!("\n{} {}\n", paint(BOLD, "Model"), word(&model["model"]));
    for route in list(&model["routes"]) {
        text += &match route["matched"] == true {
            true => format!("  route {} takes it\n", word(&route["name"])),
            false => format!(
                "  {}\n",
                paint(FAINT, format!("route {}: {}", word(&route["name"]), word(&route["objection"])))
            ),
        };
    }
    let of = model["route"].as_str().map_or_else(|| "the main strategy".to_owned(), |name| format!("route {name}"));
    text += &format!("  {of}: {}\n", strategy(&model["strategy"]));
    let pairs = [
        ("fails over on", join(&model["failover_on"])),
        ("request timeout", millis(&model["request_timeout_ms"])),
        ("second attempt after", model.get("hedge").map_or(String::new(), |hedge| known(millis(&hedge["after_ms"])))),
        ("conversation's cache", model.get("affinity").map_or(String::new(), |warmth| known(word(&warmth["warm"])))),
    ];
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .for_each(|(name, value)| text += &format!("  {name}: {value}\n"));
    text
}

/// A strategy with the strategies of its groups, in one line.
fn strategy(strategy: &Value) -> String {
    let members = list(&strategy["members"]).iter().map(|member| {
        let weight = member["weight"].as_f64().map_or(String::new(), |weight| format!(" x{weight}"));
        let variant = member["variant"].as_str().map_or(String::new(), |variant| format!("{variant}: "));
        let inner = member.get("strategy").map_or(String::new(), |inner| format!(" ({})", self::strategy(inner)));
        format!("{variant}{}{weight}{inner}", word(&member["name"]))
    });
    let members = members.collect::<Vec<_>>().join(", ");
    let rule = strategy["rule"].as_u64().map_or(String::new(), |rule| {
        let to = word(&strategy["rules"][usize::try_from(rule).unwrap_or_default()]["target_key"]);
        format!(", rule {rule} names {}", if to.is_empty() { "nobody in service" } else { &to })
    });
    let members = if members.is_empty() { "nobody in service" } else { &members };
    format!("{} of {members}{rule}", word(&strategy["mode"]))
}

fn candidates(list: &[Value]) -> String {
    let rows = list.iter().map(|one| {
        let predicted = &one["predicted"];
        let cost = match &predicted["cost_usd"] {
            Value::Null => String::new(),
            cost => format!("${cost}"),
        };
        let reasons = one["reasons"].as_array().into_iter().flatten().map(|reason| word(&reason["words"]));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let why = if reasons.is_empty() { word(&one["claim"]["words"]) } else { reasons };
        let is_in = if one["in"] == true { "in" } else { "out" };
        let latency = millis(&one["state"]["latency_ms"]);
        vec![word(&one["target"]), is_in.to_owned(), word(&one["model"]), cost, latency, why]
    });
    format!("\n{}", table(&["TARGET", "", "MODEL", "COST", "LATENCY", "WHY"], rows.collect()))
}

fn order(order: &Value) -> String {
    let steps = list(&order["steps"]);
    if steps.is_empty() {
        return String::new();
    }
    let drawn = if order["drawn"] == true { ", as a draw may come out" } else { "" };
    let mut text = format!("\n{}{drawn}\n", paint(BOLD, "Order"));
    for (at, step) in steps.iter().enumerate() {
        let mut notes = Vec::new();
        notes.extend(step["variant"].as_str().map(|variant| format!("variant {variant}")));
        notes.extend(step["share_percent"].as_f64().map(|share| format!("first in {share} % of the draws")));
        notes.extend(step["attempts"].as_u64().filter(|times| *times > 1).map(|times| format!("{times} attempts")));
        notes.extend(step["passed_over"].as_str().map(|why| paint(YELLOW, format!("passed over: {why}"))));
        notes.extend((step["spare"] == true).then(|| "only if none before it can be asked".to_owned()));
        let notes = if notes.is_empty() { String::new() } else { format!("  {}", notes.join(", ")) };
        text += &format!("  {}. {} {}{notes}\n", at + 1, word(&step["target"]), word(&step["model"]));
    }
    text
}

fn sent(sent: &Value) -> String {
    let Some(target) = sent["target"].as_str() else { return String::new() };
    let mut text = format!("\n{} {target} would be sent\n", paint(BOLD, "Request"));
    if let Some(why) = sent["omitted"].as_str() {
        text += &format!("  not shown: {why}\n");
    } else {
        text += &format!("  {} {}\n", word(&sent["method"]), word(&sent["url"]));
        for (name, value) in sent["headers"].as_object().into_iter().flatten() {
            text += &format!("  {name}: {}\n", word(value));
        }
        text += &format!("\n  {}\n", sent["body"]);
    }
    for warning in list(&sent["warnings"]) {
        text += &format!("  {} {}\n", paint(YELLOW, "warning:"), word(warning));
    }
    text
}

/// What became of a call.
fn recorded(past: &Value) -> String {
    let ended = past["error"].as_str().map_or_else(|| "went well".to_owned(), |code| format!("failed: {code}"));
    let took = millis(&past["took_ms"]);
    let mut text =
        format!("\n{} {} at {}, {ended} after {took}\n", paint(BOLD, "Call"), word(&past["id"]), word(&past["at"]));
    let mut lines = vec![
        ("route", word(&past["route"])),
        ("variant", word(&past["variant"])),
        ("target", word(&past["target"])),
        ("model", word(&past["model"])),
        ("attempts", word(&past["attempts"])),
        ("first token", millis(&past["first_token_ms"])),
        (
            "cost",
            Some(word(&past["cost_usd"]))
                .filter(|cost| !cost.is_empty())
                .map_or(String::new(), |usd| format!("${usd}")),
        ),
    ];
    if let Some(usage) = past["usage"].as_object() {
        let [prompt, completion] = ["prompt_tokens", "completion_tokens"].map(|name| word(&usage[name]));
        lines.push(("tokens", format!("{prompt} in, {completion} out")));
    }
    lines
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .for_each(|(name, value)| text += &format!("  {name}: {value}\n"));
    for tried in list(&past["tried"]) {
        let status = tried["status"].as_u64().map_or(String::new(), |status| format!(" ({status})"));
        let (target, code) = (word(&tried["target"]), word(&tried["code"]));
        text += &format!("  before: {target} {code}{status} after {}\n", millis(&tried["took_ms"]));
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as a word; nothing for `null`.
fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn join(value: &Value) -> String {
    list(value).iter().map(word).collect::<Vec<_>>().join(", ")
}

fn millis(value: &Value) -> String {
    if value.is_null() { String::new() } else { format!("{value} ms") }
}

fn known(text: String) -> String {
    if text.is_empty() { "not known yet".to_owned() } else { text }
}
