//! Every operation but chats, embeddings and native completions: what `surfaces.json` of each row says of it.
//!
//! A member is named as the operation, or `<operation>-<way>` where there are several ways. It has a `model` and `steps`,
//! each with what a caller asks (`ask` in JSON, or `form`; `method` and `at` where they are not the usual ones), what the
//! vendor says to each request, as its documentation shows it (`says`), what it is to see (`sees`), and what the caller
//! gets (`reply`); a body that goes on unchanged is `as it came`. `as` names another row that is asked alike: what it says of the same operation holds where this row says nothing.
//! `{model}` and `{upstream}` stand for the model and the address of the vendor. `errors` are those of the first
//! step; without them every error of the row's `chat.json` must reach callers of this operation as it reaches those.

use std::collections::BTreeSet;

use ferrogw::wire::op::SURFACES;

use super::*;

/// Errors that only a chat can have, or that mean something else where no model is asked.
fn is_of_chats(op: Op, error: &Value) -> bool {
    let of_model = error["status"] == 404 || error["reply"]["error"]["code"] == "model_not_found";
    matches!(error["status"].as_u64(), Some(200 | 202)) || (op.is_passed() && of_model)
}

type Faults = Vec<String>;

struct Surfaces {
    path: PathBuf,
    all: Map<String, Value>,
}

impl Surfaces {
    fn read(spec: &'static Spec) -> Self {
        let path = folder(spec).join("surfaces.json");
        let all = fs::read_to_string(&path).map_or_else(
            |_| Map::new(),
            |text| serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        );
        Self { path, all }
    }

    /// The members about an operation.
    fn keys(&self, op: Op) -> Vec<String> {
        let other = format!("{}-", op.name());
        self.all.keys().filter(|key| *key == op.name() || key.starts_with(&other)).cloned().collect()
    }

    fn refers(&self, key: &str) -> bool {
        self.all[key].get("as").is_some()
    }
}

/// The fixture that another one takes what it does not say from.
fn base(own: &Value, op: Op) -> Value {
    let Some(name) = own["as"].as_str() else { return Value::Null };
    let (row, key) = name.split_once('/').unwrap_or((name, op.name()));
    let spec = PROVIDERS.iter().find(|spec| spec.id == row).unwrap_or_else(|| panic!("as: {row} is no row"));
    let found = Surfaces::read(spec).all.remove(key).unwrap_or_else(|| panic!("as: {row} has no {key}"));
    assert!(found.get("as").is_none(), "as: {name} refers to another row itself");
    found
}

/// A value with each text changed.
fn texts(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| texts(item, change)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), texts(value, change))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// Bytes of a text whose characters each are one byte.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// What an upstream is to say.
fn answer(spec: &Spec, says: &Value) -> Say {
    let status = says["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
    let mut say = match (says.get("json"), says.get("events"), says["text"].as_str()) {
        (Some(json), ..) => Say::json(status, &json.to_string()),
        (_, Some(events), _) => frames(spec, events),
        (.., text) => Say::bytes(status, latin(text.unwrap_or_default())),
    };
    for (name, value) in says["headers"].as_object().into_iter().flatten() {
        say = say.header(name, value.as_str().unwrap());
    }
    say
}

const BOUNDARY: &str = "a-boundary-5d1f";

/// A form, of `[name, text]` or `[name, {filename, type, content}]`.
fn form(parts: &Value) -> String {
    let mut body = String::new();
    for part in parts.as_array().unwrap() {
        let (name, value) = (part[0].as_str().unwrap(), &part[1]);
        body += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
        body += &match value.as_str() {
            Some(text) => format!("\r\n\r\n{text}\r\n"),
            None => format!(
                "; filename={}\r\nContent-Type: {}\r\n\r\n{}\r\n",
                value["filename"],
                value["type"].as_str().unwrap(),
                value["content"].as_str().unwrap()
            ),
        };
    }
    body + &format!("--{BOUNDARY}--\r\n")
}

/// The parts of a form that arrived, as fixtures have them.
fn parts(body: &str, boundary: &str) -> Value {
    let read = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let quoted = |name: &str| Some(head.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
        let content = content.strip_suffix("\r\n").unwrap();
        let kind = head.to_lowercase().split_once("content-type: ").map(|(_, kind)| kind.to_owned());
        match quoted("; filename") {
            Some(filename) => json!([
                quoted("; name"),
                { "filename": filename, "type": kind, "content": content }
            ]),
            None => json!([quoted("; name"), content]),
        }
    };
    let mark = format!("--{boundary}\r\n");
    let whole = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    whole.split(&mark).skip(1).map(read).collect()
}

/// Where a body is what was sent to us, it is not written twice.
const AS_IT_CAME: &str = "as it came";

/// What an upstream saw of one request of this step.
fn sight(seen: &Seen, step: &Value) -> Value {
    let mut headers = headers(seen);
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    let kind = seen.header("content-type").to_owned();
    let mut sight = json!({ "method": seen.method.as_str(), "path": seen.path });
    if let Some((kind, boundary)) = kind.split_once("; boundary=") {
        sight["form"] = parts(&body, boundary.trim_matches('"'));
        headers["content-type"] = kind.into();
    } else if !body.is_empty() {
        match serde_json::from_str::<Value>(&body) {
            Ok(json) => sight["json"] = json,
            Err(_) => sight["text"] = body.into(),
        }
    }
    for (body, asked) in [("form", "form"), ("json", "ask")] {
        if sight.get(body).is_some() && sight.get(body) == step.get(asked) {
            sight[body] = AS_IT_CAME.into();
        }
    }
    sight["headers"] = headers;
    sight
}

/// What a caller got, after the vendor said this.
fn told(reply: &Reply, said: &Value) -> Value {
    let mut told = json!({ "status": reply.status });
    let kind = reply.header("content-type");
    if kind == "application/json" {
        told["json"] = settled(reply.json());
    } else if kind == "text/event-stream" {
        let event = |frame: &str| match frame.strip_prefix("data: ").map(serde_json::from_str::<Value>) {
            Some(Ok(json)) if json.is_object() => settled(json),
            _ => frame.into(),
        };
        let frames = reply.body.split_terminator("\n\n");
        told["events"] = frames.filter(|frame| !frame.starts_with(": x-ferro-")).map(event).collect();
    } else {
        told["type"] = kind.into();
        told["text"] = reply.body.clone().into();
    }
    for body in ["json", "events", "text"] {
        if told.get(body).is_some() && told.get(body) == said.get(body) {
            told[body] = AS_IT_CAME.into();
        }
    }
    if !reply.header("x-ferro-warnings").is_empty() {
        told["warnings"] = reply.header("x-ferro-warnings").into();
    }
    told
}

fn failure(reply: &Reply) -> Value {
    let wait = reply.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    json!({ "status": reply.status, "retry_after": wait, "error": reply.json()["error"] })
}

async fn ask(gateway: &TestGateway, op: Op, step: &Value) -> Reply {
    let method = step["method"].as_str().unwrap_or("POST").parse().unwrap();
    let path = step["at"].as_str().map_or_else(|| format!("/v1{}", op.surface().path), str::to_owned);
    let mut request = gateway.http.request(method, format!("{}{path}", gateway.url)).bearer_auth("the-callers-own");
    if op == Op::Pass {
        request = request.header("x-provider", "t");
    }
    if let Some(parts) = step.get("form") {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        request = request.header("content-type", kind).body(form(parts));
    } else if let Some(ask) = step.get("ask") {
        request = request.header("content-type", "application/json").body(ask.to_string());
    }
    gateway.send(request).await
}

/// One fixture, as far as it is put together: what it says itself, and what it takes from another.
struct Case {
    name: String,
    model: String,
    own: Value,
    base: Value,
    added: bool,
    faults: Faults,
}

impl Case {
    /// A member of a step, with its places filled in.
    fn step(&self, at: usize, upstream: &str) -> Value {
        let mut step = self.base["steps"][at].as_object().cloned().unwrap_or_default();
        step.extend(self.own["steps"][at].as_object().cloned().unwrap_or_default());
        texts(&step.into(), &|text| text.replace("{model}", &self.model).replace("{upstream}", upstream))
    }

    /// How many steps there are.
    fn steps(&self) -> usize {
        let count = |of: &Value| of["steps"].as_array().map_or(0, Vec::len);
        count(&self.own).max(count(&self.base))
    }

    /// Compare a derived member of a step with what came; note it if it is not there.
    fn is(&mut self, at: usize, member: &str, expected: Option<&Value>, got: Value) {
        if expected == Some(&got) {
            return;
        }
        let said = self.own["steps"][at].get(member).is_some();
        if !said && std::env::var_os("FERROGW_UPDATE_FIXTURES").is_some() {
            while self.own["steps"].as_array().is_none_or(|steps| steps.len() <= at) {
                match &mut self.own["steps"] {
                    Value::Array(steps) => steps.push(json!({})),
                    none => *none = json!([]),
                }
            }
            let got = match self.model.as_str() {
                "" => got,
                model => texts(&got, &|text| text.replace(model, "{model}")),
            };
            self.own["steps"][at][member] = got;
            self.added = true;
        } else {
            let expected = expected.map_or("nothing".to_owned(), Value::to_string);
            self.faults.push(format!("{}: step {at}: {member}: expected\n  {expected}\ngot\n  {got}", self.name));
        }
    }
}

async fn check(spec: &'static Spec, op: Op, key: &str) -> Faults {
    let mut surfaces = Surfaces::read(spec);
    let own = surfaces.all[key].clone();
    let base = base(&own, op);
    let model = own["model"].as_str().or(base["model"].as_str()).unwrap_or_default().to_owned();
    let name = format!("{}/{key}", spec.id);
    let mut case = Case { name: name.clone(), model, own, base, added: false, faults: Vec::new() };
    let upstream = Upstream::says([]).await;
    let top = if op.is_passed() { "batch_target: t\nresponses_target: t\n" } else { "" };
    let target = case.own["target"].as_str().map(str::to_owned);
    let gateway = gateway(spec, &upstream, &case.model, target.as_deref(), top).await;

    for at in 0..case.steps() {
        let step = case.step(at, &upstream.url);
        upstream.forget();
        upstream.tell(step["says"].as_array().into_iter().flatten().map(|says| answer(spec, says)));
        let reply = ask(&gateway, op, &step).await;
        let sees = upstream.seen().iter().map(|seen| sight(seen, &step)).collect();
        case.is(at, "sees", step.get("sees"), sees);
        let said = step["says"].as_array().and_then(|says| says.last()).unwrap_or(&Value::Null);
        let got = texts(&told(&reply, said), &|text| text.replace(&upstream.url, "{upstream}"));
        case.is(at, "reply", step.get("reply"), got);
    }

    let first = case.step(0, &upstream.url);
    let own_errors = case.own["errors"].as_array().cloned();
    let chat = fs::read_to_string(folder(spec).join("chat.json"))
        .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let of_chat = || chat["errors"].as_array().into_iter().flatten().filter(|error| !is_of_chats(op, error));
    let errors: Vec<Value> = own_errors.clone().unwrap_or_else(|| of_chat().cloned().collect());
    if errors.is_empty() || case.steps() == 0 {
        case.faults.push(format!("{name}: no steps or no errors"));
    }
    for (at, error) in errors.iter().enumerate() {
        let status = u16::try_from(error["status"].as_u64().unwrap()).unwrap();
        let mut say = says(&error["body"], status);
        for (name, value) in error["headers"].as_object().into_iter().flatten() {
            say = say.header(name, value.as_str().unwrap());
        }
        upstream.forget();
        upstream.tell([say]);
        let got = failure(&ask(&gateway, op, &first).await);
        match error.get("reply") {
            Some(reply) if *reply == got => {}
            None if std::env::var_os("FERROGW_UPDATE_FIXTURES").is_some() => {
                case.own["errors"][at]["reply"] = got;
                case.added = true;
            }
            reply => case.faults.push(format!("{name}: error {at}: expected\n  {reply:?}\ngot\n  {got}")),
        }
    }
    if case.added {
        surfaces.all[key] = case.own;
        fs::write(&surfaces.path, serde_json::to_string_pretty(&surfaces.all).unwrap() + "\n").unwrap();
    }
    case.faults
}

#[tokio::test]
async fn every_row_does_what_it_declares_beyond_chat() {
    let only = std::env::var("FERROGW_FIXTURE").unwrap_or_default();
    let mut faults = Vec::new();
    let mut cases = Vec::new();
    for spec in PROVIDERS {
        let surfaces = Surfaces::read(spec);
        let mut known = BTreeSet::new();
        // a WebSocket is no exchange: tests/realtime.rs
        let exchanges = SURFACES.iter().filter(|surface| surface.op != Op::Realtime);
        for surface in exchanges.filter(|surface| spec.serves(surface.op) && !has_file(spec, surface.op)) {
            let keys = surfaces.keys(surface.op);
            if !keys.iter().any(|key| key == surface.name) {
                faults.push(format!("{} serves {}, and {} has none", spec.id, surface.name, surfaces.path.display()));
            }
            known.extend(keys.iter().cloned());
            cases.extend(keys.into_iter().map(|key| (surfaces.refers(&key), *spec, surface.op, key)));
        }
        let strangers = surfaces.all.keys().filter(|key| !known.contains(*key));
        faults.extend(strangers.map(|key| format!("{} does not serve {key}", spec.id)));
    }
    // what others take from is complete before they do
    cases.sort_by_key(|(refers, ..)| *refers);
    for (_, spec, op, key) in cases.into_iter().filter(|(_, spec, _, key)| format!("{}/{key}", spec.id).contains(&only))
    {
        faults.extend(check(spec, op, &key).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
