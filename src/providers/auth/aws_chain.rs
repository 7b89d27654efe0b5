//! Where AWS' keys are looked for: profiles, SSO, web identity, a process, the container, the machine; and a role that
//! they may take on.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use reqsign_aws_core::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, IMDSv2CredentialProvider,
    ProcessCredentialProvider, ProfileCredentialProvider, SSOCredentialProvider,
};
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Env, Error, FileRead, HttpSend, ProvideCredential, ProvideCredentialDyn,
};

use super::Fetcher;
use super::aws::WHO;
use super::aws_profile::Profiles;
use super::aws_role::Role;
use super::token::TokenError;
use crate::call::Fault;
use crate::providers::settings::Settings;

/// How long one source may take to answer: where there is no metadata service, nobody does.
const LIMIT: Duration = Duration::from_secs(5);

/// Roles that a profile takes on, one with the keys of the other, at most.
const MOST_ROLES: usize = 5;

/// Settings, and the variables under which the sources look for them.
const VARIABLES: &[(&str, &str)] = &[
    ("profile", "AWS_PROFILE"),
    ("config_file", "AWS_CONFIG_FILE"),
    ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE"),
    ("role_arn", "AWS_ROLE_ARN"),
    ("role_session_name", "AWS_ROLE_SESSION_NAME"),
    ("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("sso_endpoint", "AWS_SSO_ENDPOINT"),
    ("container_relative_uri", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    ("container_full_uri", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ("container_token", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ("container_token_file", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ("metadata_disabled", "AWS_EC2_METADATA_DISABLED"),
    ("metadata_endpoint", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
];

type Provider = Box<dyn ProvideCredentialDyn<Credential = Credential>>;

/// One place to look.
struct Place {
    name: &'static str,
    /// The settings of which one must be given for its failure to be worth telling; none: always.
    told: &'static [&'static str],
    provider: Provider,
}

/// The sources of one target, in order.
pub(super) struct Chain {
    context: Context,
    variables: Variables,
    places: Vec<Place>,
    fixed: Option<Credential>,
    role: Option<Role>,
    /// The token service, as a role of no name.
    sts: Role,
    fetcher: Fetcher,
}

impl Chain {
    /// The sources that these settings describe; with `fixed` keys only the role is theirs to find.
    pub(super) fn new(settings: &Settings, region: &str, fixed: Option<Credential>, fetcher: &Fetcher) -> Self {
        let variables = Variables::of(settings, region);
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        let sts = Role {
            arn: String::new(),
            session: get("role_session_name").unwrap_or_else(|| "ferrogw".to_owned()),
            external: get("external_id"),
            region: region.to_owned(),
            endpoint: get("sts_endpoint").unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com{china}")),
        };
        let role = get("assume_role_arn").map(|arn| Role { arn, ..sts.clone() });
        let context = Context::new()
            .with_env(variables.clone())
            .with_file_read(Files)
            .with_http_send(Http(fetcher.clone(), get("sts_endpoint")))
            .with_command_execute(Commands);
        let place = |name, told, provider| Place { name, told, provider };
        let profile = &["profile"];
        let places = vec![
            place("profile", profile, Box::new(ProfileCredentialProvider::new()) as Provider),
            place("SSO", profile, Box::new(SSOCredentialProvider::new())),
            place(
                "web identity",
                &["web_identity_token_file"],
                Box::new(AssumeRoleWithWebIdentityCredentialProvider::new()),
            ),
            place("process", profile, Box::new(ProcessCredentialProvider::new())),
            place(
                "container",
                &["container_relative_uri", "container_full_uri"],
                Box::new(ECSCredentialProvider::new()),
            ),
            place("instance metadata", &[], Box::new(IMDSv2CredentialProvider::new())),
        ];
        Self { context, variables, places, fixed, role, sts, fetcher: fetcher.clone() }
    }

    /// Keys, of the first source that has some. Fails with what the sources say that were meant to have them.
    pub(super) async fn find(&self) -> Result<Credential, TokenError> {
        let keys = match &self.fixed {
            Some(keys) => keys.clone(),
            None => self.look().await?,
        };
        match &self.role {
            Some(role) => role.assume(&keys, &self.fetcher).await,
            None => Ok(keys),
        }
    }

    async fn look(&self) -> Result<Credential, TokenError> {
        let profile = self.context.env_var("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let profiles = self.profiles().await;
        if let Some(keys) = self.of_profile(&profiles, &profile).await? {
            return Ok(keys);
        }
        self.first(&self.places).await
    }

    async fn first(&self, places: &[Place]) -> Result<Credential, TokenError> {
        let mut told = Vec::new();
        for place in places {
            match place.provider.provide_credential_dyn(&self.context).await {
                Ok(Some(keys)) => return Ok(keys),
                Ok(None) => {}
                Err(error) if place.told.is_empty() || place.told.iter().any(|name| self.variables.has(name)) => {
                    told.push(format!("{}: {error}", place.name));
                }
                Err(_) => {}
            }
        }
        let why = if told.is_empty() { "there are none".to_owned() } else { told.join("; ") };
        let why = format!(
            "none found ({why}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_BEARER_TOKEN_BEDROCK, or a profile"
        );
        Err(TokenError::new(WHO, why, Fault::Auth))
    }

    /// The shared configuration file; empty if there is none.
    async fn profiles(&self) -> Profiles {
        let path = self.context.env_var("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".to_owned());
        let Some(path) = self.context.expand_home_dir(&path) else { return Profiles::default() };
        let text = self.context.file_read_as_string(&path).await;
        text.map_or_else(|_| Profiles::default(), |text| Profiles::parse(&text))
    }

    /// The keys of the roles that a profile takes on, one with those of the other, and of sign-on by a named session.
    /// `None` if the profile speaks of neither.
    async fn of_profile(&self, profiles: &Profiles, profile: &str) -> Result<Option<Credential>, TokenError> {
        let told = &[][..];
        let mut roles = Vec::new();
        let mut name = profile.to_owned();
        let base = loop {
            let get = |key| profiles.get(&name, key);
            if let Some(session) = profiles.session(&name) {
                let provider = SSOCredentialProvider::new()
                    .with_account_id(session.account)
                    .with_role_name(session.role)
                    .with_region(session.region)
                    // only looked at for the name of the token's file, which follows from the session's here
                    .with_start_url(session.name);
                break Place { name: "SSO", told, provider: Box::new(provider) };
            }
            let Some(arn) = get("role_arn") else {
                if roles.is_empty() {
                    return Ok(None);
                }
                let name = name.clone();
                break Place { name: "profile", told, provider: Box::new(OfProfile::new(name)) };
            };
            if roles.len() == MOST_ROLES {
                return Err(TokenError::new(WHO, format!("profile {profile}: too many roles"), Fault::Auth));
            }
            if let Some(file) = get("web_identity_token_file") {
                let provider = AssumeRoleWithWebIdentityCredentialProvider::new()
                    .with_role_arn(arn)
                    .with_web_identity_token_file(file);
                break Place { name: "web identity", told, provider: Box::new(provider) };
            }
            roles.push(Role {
                arn: arn.to_owned(),
                session: get("role_session_name").unwrap_or("ferrogw").to_owned(),
                external: get("external_id").map(str::to_owned),
                ..self.sts.clone()
            });
            match (get("source_profile"), get("credential_source")) {
                (Some(source), _) if source == name => {
                    break Place {
                        name: "profile",
                        told,
                        provider: Box::new(ProfileCredentialProvider::new().with_profile(source)),
                    };
                }
                (Some(source), _) => name = source.to_owned(),
                (None, Some("EcsContainer")) => {
                    break Place { name: "container", told, provider: Box::new(ECSCredentialProvider::new()) };
                }
                (None, Some("Ec2InstanceMetadata")) => {
                    break Place {
                        name: "instance metadata",
                        told,
                        provider: Box::new(IMDSv2CredentialProvider::new()),
                    };
                }
                _ => {
                    let why = format!("profile {name}: role_arn needs source_profile or credential_source");
                    return Err(TokenError::new(WHO, why, Fault::Auth));
                }
            }
        };
        let mut keys = self.first(&[base]).await?;
        for role in roles.iter().rev() {
            keys = role.assume(&keys, &self.fetcher).await?;
        }
        Ok(Some(keys))
    }
}

/// What one profile has: keys, a sign-on, or a process.
#[derive(Debug)]
struct OfProfile(ProfileCredentialProvider, SSOCredentialProvider, ProcessCredentialProvider);

impl OfProfile {
    fn new(name: String) -> Self {
        let sso = SSOCredentialProvider::new().with_profile(name.clone());
        let process = ProcessCredentialProvider::new().with_profile(name.clone());
        Self(ProfileCredentialProvider::new().with_profile(name), sso, process)
    }
}

impl ProvideCredential for OfProfile {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>, Error> {
        if let Some(keys) = self.0.provide_credential(context).await? {
            return Ok(Some(keys));
        }
        if let Ok(Some(keys)) = self.1.provide_credential(context).await {
            return Ok(Some(keys));
        }
        self.2.provide_credential(context).await
    }
}

/// What the sources see of the environment: the settings of the target, and nothing else. No values in `Debug`.
#[derive(Clone)]
struct Variables {
    values: HashMap<String, String>,
    home: Option<PathBuf>,
}

impl Variables {
    fn of(settings: &Settings, region: &str) -> Self {
        let given = |(setting, name): &(&str, &str)| Some(((*name).to_owned(), settings.get(setting)?.to_owned()));
        let mut values: HashMap<String, String> = VARIABLES.iter().filter_map(given).collect();
        values.insert("AWS_REGION".to_owned(), region.to_owned());
        // the global endpoint is one region's
        values.insert("AWS_STS_REGIONAL_ENDPOINTS".to_owned(), "regional".to_owned());
        Self { values, home: settings.get("home").map(PathBuf::from) }
    }

    fn has(&self, setting: &str) -> bool {
        VARIABLES.iter().any(|(known, name)| *known == setting && self.values.contains_key(*name))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Env for Variables {
    fn var(&self, key: &str) -> Option<String> {
        self.values.get(key).cloned()
    }

    fn vars(&self) -> HashMap<String, String> {
        self.values.clone()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        self.home.clone()
    }
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>, Error> {
        tokio::fs::read(path)
            .await
            .map_err(|error| Error::config_invalid(format!("cannot read {path}: {}", error.kind())))
    }
}

/// `credential_process` of a profile.
#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Result<CommandOutput, Error> {
        let (program, args) = (program.to_owned(), args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let run = tokio::task::spawn_blocking(move || std::process::Command::new(program).args(args).output());
        let failed = |why: String| Error::unexpected(format!("credential_process: {why}"));
        let output =
            run.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        Ok(CommandOutput { status: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: output.stderr })
    }
}

/// The client that everything but the data plane shares; with another address for AWS' token service.
struct Http(Fetcher, Option<String>);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let failed = |error: reqwest::Error| Error::unexpected(error.without_url().to_string());
        let http = self.0.http().map_err(failed)?;
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        let sts = request.url().host_str().is_some_and(|host| host == "sts.amazonaws.com" || host.starts_with("sts."));
        if let Some(endpoint) = self.1.as_deref().filter(|_| sts) {
            let mut url =
                reqwest::Url::parse(endpoint).map_err(|_| Error::config_invalid("sts_endpoint is no address"))?;
            url.set_query(request.url().query());
            *request.url_mut() = url;
        }
        *request.timeout_mut() = Some(LIMIT);
        let response = http.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut made = http::Response::new(response.bytes().await.map_err(failed)?);
        (*made.status_mut(), *made.headers_mut()) = (status, headers);
        Ok(made)
    }
}
