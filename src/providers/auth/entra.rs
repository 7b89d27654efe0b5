//! Microsoft Entra: where an access token for Azure comes from, when there is no key.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>

use super::missing;
use super::token::{Field, Grant};
use crate::config::Invalid;
use crate::providers::settings::Settings;
use crate::providers::spec::Spec;

const WHO: &str = "Microsoft Entra";
const LOGIN: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The first that is configured: client secret, workload identity, managed identity. The last is taken only where the
/// environment offers one (App Service), or the setting `managed_identity` asks for it. Fails if half of one is missing.
pub(super) fn grant(spec: &Spec, settings: &Settings, scope: &str) -> Result<Option<Grant>, Invalid> {
    let tenant = settings.get("tenant_id");
    let client = settings.get("client_id");
    let proof = match (settings.get("client_secret"), settings.get("token_file")) {
        (Some(secret), _) => Some(vec![("client_secret", Field::Is(secret.to_owned()))]),
        (None, Some(file)) => Some(vec![
            ("client_assertion_type", Field::Is(ASSERTION.to_owned())),
            ("client_assertion", Field::In(file.to_owned())),
        ]),
        (None, None) => None,
    };
    if let Some(proof) = proof {
        let tenant = tenant.ok_or_else(|| missing(spec, "tenant_id"))?;
        let client = client.ok_or_else(|| missing(spec, "client_id"))?;
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
            return Err(Invalid::at("tenant_id".to_owned(), "must be a tenant's id or domain".to_owned()));
        }
        let mut form = vec![
            ("grant_type", Field::Is("client_credentials".to_owned())),
            ("client_id", Field::Is(client.to_owned())),
            ("scope", Field::Is(scope.to_owned())),
        ];
        form.extend(proof);
        let authority = settings.get("authority").unwrap_or(LOGIN).trim_end_matches('/');
        return Ok(Some(Grant {
            url: format!("{authority}/{tenant}/oauth2/v2.0/token"),
            who: WHO,
            form: Some(form),
            headers: Vec::new(),
            basic: None,
            then: None,
        }));
    }
    Ok(managed(settings, client, scope))
}

fn managed(settings: &Settings, client: Option<&str>, scope: &str) -> Option<Grant> {
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let resource = format!("{resource}/");
    let mut query = vec![("resource", resource.as_str())];
    if let Some(client) = client {
        query.push(("client_id", client));
    }
    let (base, version, header) = match (settings.get("identity_endpoint"), settings.get("identity_header")) {
        (Some(endpoint), Some(header)) => (endpoint.to_owned(), "2019-08-01", ("X-IDENTITY-HEADER", header.to_owned())),
        _ if settings.get("managed_identity") == Some("true") => {
            let host = settings.get("metadata_host").unwrap_or(METADATA).trim_end_matches('/');
            (format!("{host}/metadata/identity/oauth2/token"), "2018-02-01", ("Metadata", "true".to_owned()))
        }
        _ => return None,
    };
    query.push(("api-version", version));
    let url = reqwest::Url::parse_with_params(&base, &query).ok()?;
    Some(Grant { url: url.into(), who: "managed identity", form: None, headers: vec![header], basic: None, then: None })
}
