//! OAuth client credentials, exchanged at the provider's own host: Databricks' machine-to-machine login.
//!
//! <https://docs.databricks.com/dev-tools/auth/oauth-m2m>

use super::token::{Field, Grant};
use crate::config::Invalid;
use crate::providers::spec::Place;

/// A grant for this client, at the host of this place. Fails if the place is no address.
pub(super) fn client(place: &Place, id: &str, secret: &str) -> Result<Grant, Invalid> {
    let wrong = || Invalid::at("base_url".to_owned(), "must be an address with a host".to_owned());
    let uri: http::Uri = place.base.parse().map_err(|_| wrong())?;
    let (scheme, authority) = (uri.scheme_str().ok_or_else(wrong)?, uri.authority().ok_or_else(wrong)?);
    Ok(Grant {
        url: format!("{scheme}://{authority}/oidc/v1/token"),
        who: "Databricks OAuth",
        form: Some(vec![
            ("grant_type", Field::Is("client_credentials".to_owned())),
            ("scope", Field::Is("all-apis".to_owned())),
        ]),
        headers: Vec::new(),
        basic: Some((id.to_owned(), secret.to_owned())),
        then: None,
    })
}
