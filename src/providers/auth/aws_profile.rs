//! AWS' shared configuration file, as far as it speaks of roles and of sessions of single sign-on.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

/// The sections of the file, each with its settings, in order.
#[derive(Default)]
pub(super) struct Profiles(Vec<(String, Vec<(String, String)>)>);

/// Single sign-on by a session of its own section.
pub(super) struct Session<'a> {
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) role: &'a str,
}

impl Profiles {
    /// Read the file. What is no setting, and settings within settings, are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for line in text.lines() {
            let plain = line.split(['#', ';']).next().unwrap_or_default().trim();
            if let Some(name) = plain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push((name.split_whitespace().collect::<Vec<_>>().join(" "), Vec::new()));
            } else if !line.starts_with(char::is_whitespace)
                && let Some((name, value)) = line.split_once('=')
                && let Some((_, settings)) = sections.last_mut()
            {
                // a comment behind a value begins with white space
                let value = value.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default();
                settings.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Self(sections)
    }

    fn in_section(&self, section: &str, name: &str) -> Option<&str> {
        let settings = self.0.iter().filter(|(known, _)| known == section).flat_map(|(_, settings)| settings);
        settings
            .filter(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
            .next_back()
    }

    /// A setting of a profile.
    pub(super) fn get(&self, profile: &str, name: &str) -> Option<&str> {
        let own = self.in_section(&format!("profile {profile}"), name);
        own.or_else(|| self.in_section("default", name).filter(|_| profile == "default"))
    }

    /// The session that a profile signs on by.
    pub(super) fn session(&self, profile: &str) -> Option<Session<'_>> {
        let name = self.get(profile, "sso_session")?;
        Some(Session {
            name,
            region: self.in_section(&format!("sso-session {name}"), "sso_region")?,
            account: self.get(profile, "sso_account_id")?,
            role: self.get(profile, "sso_role_name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_as_aws_writes_them() {
        let file = Profiles::parse(
            "# mine\n[default]\nregion = eu-west-1\n\n[profile  work]\nrole_arn=arn:aws:iam::1:role/x ; why\ns3 =\n  \
             role_arn = no\nsource_profile = default\n[sso-session corp]\nsso_region = us-east-1\n[profile on]\n\
             sso_session = corp\nsso_account_id = 1\nsso_role_name = Pilot\n",
        );
        assert_eq!(file.get("work", "role_arn"), Some("arn:aws:iam::1:role/x"));
        assert_eq!((file.get("work", "source_profile"), file.get("work", "s3")), (Some("default"), None));
        assert_eq!((file.get("default", "region"), file.get("nobody", "region")), (Some("eu-west-1"), None));
        let session = file.session("on").expect("it is in the file");
        assert_eq!((session.name, session.region, session.account, session.role), ("corp", "us-east-1", "1", "Pilot"));
        assert!(file.session("work").is_none());
    }
}
