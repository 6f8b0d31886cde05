//! Checks whether this SDK and a Volt are compatible.
//!
//! Releases of the API have removed and renumbered fields, so an old client may send a request that a
//! new Volt understands differently. The Volt decides which versions it accepts; this method asks it.

use std::{cmp::Ordering, fmt, str::FromStr};

use volt_runtime::{Code, Method, Result};

use crate::{
    API_VERSION, Client,
    version::SINCE,
    volt::{CheckCompatibilityRequest, CheckCompatibilityResponse, Version},
};

/// A version of the API, such as 0.20.34.
///
/// ```
/// use volt_api::ApiVersion;
///
/// let version: ApiVersion = "0.20.34".parse()?;
/// assert!(version > "0.15.1".parse()?);
/// assert_eq!(version.to_string(), "0.20.34");
/// # Ok::<_, std::num::ParseIntError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
    /// The patch version.
    pub patch: u32,
}

impl ApiVersion {
    /// Returns the version that this SDK was generated from.
    pub fn of_sdk() -> Self {
        API_VERSION.parse().unwrap_or_default()
    }
}

impl FromStr for ApiVersion {
    type Err = std::num::ParseIntError;

    /// Parses `major.minor.patch`; missing parts are 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.splitn(3, '.').map(str::parse);
        let mut next = || numbers.next().unwrap_or(Ok(0));
        Ok(Self { major: next()?, minor: next()?, patch: next()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The age of a Volt's API compared with that of this SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VoltAge {
    /// The Volt's API is older: it may lack methods and fields. [`Compatibility::lacks`] returns the methods that it
    /// is known to lack.
    Older,
    /// The versions are the same.
    Same,
    /// The Volt's API is newer: parts of it are missing here.
    Newer,
    /// The Volt did not report its version.
    Unknown,
}

/// A Volt's answer about the API version of this SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compatibility {
    /// The version that this SDK was generated from.
    pub sdk: ApiVersion,
    /// The Volt's version, if it reported one.
    pub volt: Option<ApiVersion>,
    /// The Volt's reason why the two are incompatible; `None` if it considers them compatible.
    pub objection: Option<String>,
}

impl Compatibility {
    /// Returns whether the Volt considers the two compatible.
    pub fn is_compatible(&self) -> bool {
        self.objection.is_none()
    }

    /// Returns whether the Volt has a newer API, parts of which may be missing here.
    pub fn is_volt_newer(&self) -> bool {
        self.age() == VoltAge::Newer
    }

    /// Compares the two versions. [`is_compatible`](Self::is_compatible) returns the Volt's own
    /// verdict.
    pub fn age(&self) -> VoltAge {
        match self.volt.map(|volt| volt.cmp(&self.sdk)) {
            Some(Ordering::Less) => VoltAge::Older,
            Some(Ordering::Equal) => VoltAge::Same,
            Some(Ordering::Greater) => VoltAge::Newer,
            None => VoltAge::Unknown,
        }
    }

    /// Returns the methods among these that the Volt is known to lack. The constants of the clients list the calls of a
    /// program: `METHODS` has all of a client's, and each method has its own constant.
    ///
    /// This SDK knows the methods of some versions of the API only, such as 0.15.1 and 0.20.34. A method that is in
    /// 0.20.34 but not in 0.15.1 is returned for Volts up to 0.15.1. A Volt between the two may have it or not: it is not
    /// returned, and a call fails with [`Code::Unimplemented`] if the Volt lacks it. No method is returned if the Volt
    /// did not report its version.
    ///
    /// ```
    /// use volt_api::{Compatibility, volt::VoltApiClient};
    ///
    /// fn warn(answer: &Compatibility) {
    ///     for method in answer.lacks(VoltApiClient::METHODS) {
    ///         eprintln!("the Volt does not have {}", method.full_name());
    ///     }
    /// }
    /// ```
    pub fn lacks<'a>(&self, methods: impl IntoIterator<Item = &'a Method>) -> Vec<&'a Method> {
        let is_missing = |method: &&Method| {
            let since = SINCE.iter().find(|(path, ..)| *path == method.path);
            let without: Option<ApiVersion> = since.and_then(|(_, after, _)| after.parse().ok());
            self.volt.zip(without).is_some_and(|(volt, without)| volt <= without)
        };
        methods.into_iter().filter(is_missing).collect()
    }
}

impl Client {
    /// Asks the Volt whether it is compatible with the API version that this SDK was [generated
    /// from](API_VERSION), and for its own version.
    ///
    /// A Volt that reports an incompatibility does not report its version. It is then asked again,
    /// without the version of the SDK.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// use volt_api::VoltAge;
    ///
    /// let answer = client.check_compatibility().await?;
    /// if let Some(objection) = &answer.objection {
    ///     eprintln!("this program is for API {}: {objection}", answer.sdk);
    /// }
    /// if answer.age() == VoltAge::Older {
    ///     eprintln!("the Volt has an older API");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the Volt could not be asked. An objection of the Volt is not an error.
    ///
    /// # Cancel safety
    ///
    /// The calls have no side effects.
    pub async fn check_compatibility(&self) -> Result<Compatibility> {
        let sdk = ApiVersion::of_sdk();
        let version = Version::default()
            .with_version_major(sdk.major)
            .with_version_minor(sdk.minor)
            .with_version_patch(sdk.patch);
        let request = CheckCompatibilityRequest::default().with_version(version);
        match self.volt().check_compatibility(request).await {
            Ok(answer) => Ok(Compatibility { sdk, volt: version_of(&answer), objection: None }),
            // The code with which a Volt objects. Any other refusal, such as of the session, does not
            // depend on the version.
            Err(error) if error.is_refused() && error.code() == Code::FailedPrecondition => {
                let objection = error.status().map(|status| status.message().to_owned());
                let request = CheckCompatibilityRequest::default();
                let volt = match self.volt().check_compatibility(request).await {
                    Ok(answer) => version_of(&answer),
                    // The method may require a version.
                    Err(error) if error.is_refused() => None,
                    Err(error) => return Err(error),
                };
                Ok(Compatibility { sdk, volt, objection })
            }
            Err(error) => Err(error),
        }
    }
}

fn version_of(answer: &CheckCompatibilityResponse) -> Option<ApiVersion> {
    answer.version.map(|version| ApiVersion {
        major: version.version_major,
        minor: version.version_minor,
        patch: version.version_patch,
    })
}

#[cfg(all(test, feature = "volt"))]
mod tests {
    use super::*;
    use crate::volt::VoltApiClient;

    #[test]
    fn a_method_is_missing_up_to_the_last_version_known_without_it() {
        let lacks = |volt: Option<&str>, method: &Method| {
            let volt = volt.map(|volt| volt.parse().unwrap());
            let answer = Compatibility { sdk: ApiVersion::of_sdk(), volt, objection: None };
            !answer.lacks([method]).is_empty()
        };
        let (old, new) =
            (VoltApiClient::GET_RESOURCE.method(), VoltApiClient::GET_ONE_TIME_TOKEN.method());
        for (volt, is_missing) in [
            (Some("0.15.0"), true),
            (Some("0.15.1"), true),
            (Some("0.15.2"), false),
            (Some("0.18.0"), false),
            (Some("0.20.34"), false),
            (None, false),
        ] {
            assert_eq!(lacks(volt, new), is_missing, "{volt:?}");
            assert!(!lacks(volt, old), "{volt:?}");
        }
    }
}
