//! Checks whether this SDK and a Volt are compatible.
//!
//! Releases of the API have removed and renumbered fields, so an old client may send a request that a
//! new Volt understands differently. The Volt decides which versions it accepts; this method asks it.

use std::{fmt, str::FromStr};

use volt_runtime::{Code, Result};

use crate::{
    API_VERSION, Client,
    volt::{CheckCompatibilityRequest, Version},
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
        self.volt.is_some_and(|volt| volt > self.sdk)
    }
}

impl Client {
    /// Asks the Volt whether it is compatible with the API version that this SDK was [generated
    /// from](API_VERSION).
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let compatibility = client.check_compatibility().await?;
    /// if let Some(objection) = &compatibility.objection {
    ///     eprintln!("this program is for API {}: {objection}", compatibility.sdk);
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
    /// The call has no side effects.
    pub async fn check_compatibility(&self) -> Result<Compatibility> {
        let sdk = ApiVersion::of_sdk();
        let version = Version::default()
            .with_version_major(sdk.major)
            .with_version_minor(sdk.minor)
            .with_version_patch(sdk.patch);
        let request = CheckCompatibilityRequest::default().with_version(version);
        match self.volt().check_compatibility(request).await {
            Ok(answer) => {
                let volt = answer.version.map(|version| ApiVersion {
                    major: version.version_major,
                    minor: version.version_minor,
                    patch: version.version_patch,
                });
                Ok(Compatibility { sdk, volt, objection: None })
            }
            // The code with which a Volt objects. Any other refusal, such as of the session, does not
            // depend on the version.
            Err(error) if error.is_refused() && error.code() == Code::FailedPrecondition => {
                let objection = error.status().map(|status| status.message().to_owned());
                Ok(Compatibility { sdk, volt: None, objection })
            }
            Err(error) => Err(error),
        }
    }
}
