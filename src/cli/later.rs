//! Variables of the reference that this version does not read: whoever sets one learns it.

use crate::config::Env;

static LATER: &[(&str, &str)] = &[
    ("ADMIN_BOOTSTRAP_KEY", "set MASTER_KEY instead"),
    ("ADMIN_BOOTSTRAP_READ_ONLY_KEY", "this version has one key, MASTER_KEY"),
    ("API_KEY_STORE_BACKEND", "this version has one key, MASTER_KEY"),
    ("CONFIG_STORE_BACKEND", "this version reads its configuration from a file"),
    ("REQUEST_LOG_STORE_BACKEND", "this version logs requests to standard output, or where --access-log says"),
    ("ENABLE_PPROF", "this version has no profiler"),
    ("FERRO_MODEL_CATALOG_URL", "the catalog is built in, and `catalog.file` of the configuration names a newer one"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "this version exports no traces"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "this version exports no traces"),
];

/// One line for each variable that is set in vain.
pub(super) fn warnings(env: &Env) -> Vec<String> {
    let set = LATER.iter().filter(|(name, _)| env.get(name).is_some());
    set.map(|(name, instead)| format!("{name}: has no effect: {instead}")).collect()
}
