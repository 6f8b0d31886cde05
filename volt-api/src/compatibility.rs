//! Whether this SDK and a Volt understand one another.

use std::{fmt, str::FromStr};

use volt_runtime::{Code, Result};

use crate::{
    API_VERSION, Client,
    volt::{CheckCompatibilityRequest, Version},
};

/// A version of the API, such as 0.20.34.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl ApiVersion {
    /// The version that this SDK was generated from.
    pub fn of_sdk() -> Self {
        API_VERSION.parse().unwrap_or_default()
    }
}

impl FromStr for ApiVersion {
    type Err = std::num::ParseIntError;

    /// Reads `major.minor.patch`; what is left out is 0.
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

/// What a Volt says of the API version of this SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compatibility {
    /// The version that this SDK was generated from.
    pub sdk: ApiVersion,
    /// The Volt's version, if it told.
    pub volt: Option<ApiVersion>,
    /// Why the Volt says that the two do not fit; `None` when it says that they do.
    pub objection: Option<String>,
}

impl Compatibility {
    /// Whether the Volt says that the two fit.
    pub fn is_compatible(&self) -> bool {
        self.objection.is_none()
    }

    /// Whether the Volt has a newer API, in which case some of it may be missing here.
    pub fn is_volt_newer(&self) -> bool {
        self.volt.is_some_and(|volt| volt > self.sdk)
    }
}

impl Client {
    /// Asks the Volt whether it understands the API version that this SDK was [generated
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
    /// When the Volt could not be asked. That it objects is no error.
    ///
    /// # Cancel safety
    ///
    /// Asking changes nothing.
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
            Err(error) if error.is_refused() && error.code() == Code::FailedPrecondition => {
                let objection = error.status().map(|status| status.message().to_owned());
                Ok(Compatibility { sdk, volt: None, objection })
            }
            Err(error) => Err(error),
        }
    }
}
