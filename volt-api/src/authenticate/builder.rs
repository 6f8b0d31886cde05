//! The builder that [`Client::authenticate`] returns, and the types of its options.

use std::{fmt, sync::Arc, time::Duration};

use volt_runtime::{ClientConfig, ConnectOptions};

use crate::{Client, volt::PolicyDecision};

/// The identity that a client authenticates with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// The DID in `credential.identity_did`. Without one, the DID that the Volt creates for the key, or
    /// created earlier.
    #[default]
    Did,
    /// The client's key alone: the session is bound to the key and has no DID.
    Key,
    /// A DID that the client creates itself, with this id (`did:volt:…`) or a random one. The client signs
    /// the document that states its key.
    OwnDid(Option<String>),
}

/// The form in which a challenge code is sent. The API's documentation, its published clients and its
/// versions differ in this: the current documentation describes the hash, the web client and API 0.15
/// sign the code, and the Node client sends it unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Challenge {
    /// SHA-256 of the code, base64url without padding.
    #[default]
    Hash,
    /// The code signed with the client's key, base64url without padding.
    Signature,
    /// The code itself.
    Plain,
}

/// The interval between requests while the Volt's owner has not decided: that of the published Node client.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Called while the owner of the Volt has not decided.
type Waiting = Arc<dyn Fn(PolicyDecision) + Send + Sync>;

/// Obtains a session for a client. [`Client::authenticate`] creates it; await it for the connected client.
///
/// ```no_run
/// # use std::time::Duration;
/// # use volt_api::{Client, ClientConfig, Result};
/// # async fn example() -> Result<()> {
/// let config = ClientConfig::from_file("volt.config.json")?;
/// let client = Client::authenticate(config)
///     .on_waiting(|_| println!("ask the owner of the Volt to approve this program"))
///     .deadline(Duration::from_secs(300))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing happens until it is awaited"]
pub struct Authenticate {
    pub(super) config: ClientConfig,
    pub(super) options: ConnectOptions,
    pub(super) identity: Identity,
    pub(super) challenge: Challenge,
    pub(super) challenge_code: Option<String>,
    pub(super) exchange_token: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) present_credentials: bool,
    pub(super) wait: bool,
    pub(super) renew: bool,
    pub(super) poll_interval: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) on_waiting: Option<Waiting>,
}

impl Client {
    /// Connects with a session: that of the configuration if the Volt still accepts it, otherwise a new
    /// one.
    ///
    /// The Volt's answer (the session, the client's DID, certificate and credentials) is stored in the
    /// client's [configuration](Self::config), and saved to its file if it was read from one. A
    /// configuration without a key gets a new one, which is saved before it is used.
    #[doc(alias = "login")]
    pub fn authenticate(config: ClientConfig) -> Authenticate {
        Authenticate {
            config,
            options: ConnectOptions::default(),
            identity: Identity::default(),
            challenge: Challenge::default(),
            challenge_code: None,
            exchange_token: None,
            session_name: None,
            present_credentials: true,
            wait: true,
            renew: false,
            poll_interval: POLL_INTERVAL,
            deadline: None,
            on_waiting: None,
        }
    }
}

impl Authenticate {
    /// Sets the identity of the client. Default: [`Identity::Did`].
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Sets the code through which the owner of the Volt recognizes this client, instead of
    /// `credential.challenge_code` or, in older configurations, `volt.challenge_code`.
    pub fn challenge_code(mut self, code: impl Into<String>) -> Self {
        self.challenge_code = Some(code.into());
        self
    }

    /// Sets the form in which the code is sent. Volts of different versions expect different forms.
    /// Default: [`Challenge::Hash`].
    pub fn challenge(mut self, form: Challenge) -> Self {
        self.challenge = form;
        self
    }

    /// Sets a one-time token from `GetOneTimeToken`. The session then belongs to the identity that
    /// requested the token.
    pub fn exchange_token(mut self, token: impl Into<String>) -> Self {
        self.exchange_token = Some(token.into());
        self
    }

    /// Names this session, to distinguish it from others of the same key.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// Sets whether to present the verifiable credentials in `credential.vc`. Default: true.
    pub fn present_credentials(mut self, present: bool) -> Self {
        self.present_credentials = present;
        self
    }

    /// Fails with `FAILED_PRECONDITION` if the owner of the Volt has not decided yet. By default the
    /// client waits and asks again until the owner decides.
    pub fn fail_if_pending(mut self) -> Self {
        self.wait = false;
        self
    }

    /// Sets how often the client repeats its request while the owner has not decided. Default: 10
    /// seconds.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Limits the whole operation. The time runs from the first poll. Without a limit, it waits until the
    /// owner decides.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets a function that is called each time the Volt answers that its owner must decide, with
    /// `PROMPT` or `PENDING`. It should return soon: the next request waits for it.
    pub fn on_waiting(mut self, call: impl Fn(PolicyDecision) + Send + Sync + 'static) -> Self {
        self.on_waiting = Some(Arc::new(call));
        self
    }

    /// Renews the session for as long as the client lives: when the Volt no longer accepts it, the client
    /// authenticates again with the same options, on another connection, and saves the new session as the
    /// first one. One renewal serves all waiting calls, which then continue: see
    /// [`Channel`](crate::Channel#sessions). Default: such calls fail, and so do all later ones.
    ///
    /// If the owner of the Volt must approve the new session, calls wait within their own timeouts, until
    /// the [`deadline`](Self::deadline) of authenticating; [`on_waiting`](Self::on_waiting) is called then,
    /// too. A failed renewal is reported to all calls with its cause. The next attempt follows after ten
    /// seconds at the earliest.
    ///
    /// An [`exchange_token`](Self::exchange_token) can be used only once, so it is not sent again.
    ///
    /// ```no_run
    /// # async fn example() -> volt_api::Result<()> {
    /// use volt_api::{Client, ClientConfig};
    ///
    /// let config = ClientConfig::from_file("volt.config.json")?;
    /// let client = Client::authenticate(config).renew().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "refresh")]
    pub fn renew(mut self) -> Self {
        self.renew = true;
        self
    }

    /// Sets the limits and timeouts of the connection. Default: those of [`ConnectOptions::default`].
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("config", &self.config)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
