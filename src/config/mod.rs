//! config (temporary words until the module lands)
#![expect(missing_docs, reason = "temporary")]
use std::collections::HashMap;
pub struct Env(HashMap<String, String>);
impl Env {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|v| v.trim()).filter(|v| !v.is_empty())
    }
}
#[derive(Debug)]
pub struct Invalid {
    pub path: String,
    pub message: String,
}
impl Invalid {
    pub fn at(path: String, message: String) -> Self {
        Self { path, message }
    }
}
pub struct Text(pub String);
impl Text {
    pub fn resolve(&self, _: &Env) -> Result<Secret, Invalid> {
        Ok(Secret(self.0.clone()))
    }
}
pub struct Secret(String);
impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl From<&str> for Secret {
    fn from(s: &str) -> Self {
        Self(s.to_owned())
    }
}
