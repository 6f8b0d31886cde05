//! From a configuration to a session.

mod request;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use volt_runtime::{
    ClientConfig, Code, ConnectOptions, Error, Result, Status, transport::BoxFuture,
};

pub use self::request::{Challenge, Identity};
use crate::{
    Client,
    volt::{AuthenticateResponse, CheckCompatibilityRequest, PolicyDecision},
};

/// How often the Volt is asked again while its owner has not decided.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Called while the owner of the Volt has not decided.
type Waiting = Arc<dyn Fn(PolicyDecision) + Send + Sync>;

/// Gets a client a session. Made by [`Client::authenticate`]; await it for the connected client.
///
/// ```no_run
/// # use std::time::Duration;
/// # use volt_api::{Client, ClientConfig, Result};
/// # async fn example() -> Result<()> {
/// let config = ClientConfig::from_file("volt.config.json")?;
/// let client = Client::authenticate(config)
///     .on_waiting(|_| println!("ask the owner of the Volt to let this program in"))
///     .deadline(Duration::from_secs(300))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until it is awaited"]
pub struct Authenticate {
    config: ClientConfig,
    options: ConnectOptions,
    identity: Identity,
    challenge: Challenge,
    challenge_code: Option<String>,
    exchange_token: Option<String>,
    session_name: Option<String>,
    present_credentials: bool,
    wait: bool,
    poll_interval: Duration,
    deadline: Option<Duration>,
    on_waiting: Option<Waiting>,
}

impl Client {
    /// Connects with a session: the one of the configuration if the Volt still knows it, else a new
    /// one.
    ///
    /// What the Volt answers (the session, the client's DID, its certificate and credentials) goes
    /// into the client's [configuration](Self::config), and into the file if that came from one. A
    /// configuration without a key gets a new one, which is saved before it is used.
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
            poll_interval: POLL_INTERVAL,
            deadline: None,
            on_waiting: None,
        }
    }
}

impl Authenticate {
    /// Who the client says it is. Default [`Identity::Did`].
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// The code that proves to the owner of the Volt which client this is, instead of
    /// `credential.challenge_code` or, in older configurations, `volt.challenge_code`.
    pub fn challenge_code(mut self, code: impl Into<String>) -> Self {
        self.challenge_code = Some(code.into());
        self
    }

    /// In which form the code is sent; Volts of different age want different ones. Default
    /// [`Challenge::Hash`].
    pub fn challenge(mut self, form: Challenge) -> Self {
        self.challenge = form;
        self
    }

    /// A one-time token of somebody else, from `GetOneTimeToken`: the session will be theirs.
    pub fn exchange_token(mut self, token: impl Into<String>) -> Self {
        self.exchange_token = Some(token.into());
        self
    }

    /// Tells this session from others of the same key.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// Whether the verifiable credentials in `credential.vc` are presented. They are by default.
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

    /// How often the Volt is asked again. Default 10 seconds.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How long all of it may take. Without one it waits for as long as the owner needs.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Called each time that the Volt answers that its owner must decide.
    pub fn on_waiting(mut self, call: impl Fn(PolicyDecision) + Send + Sync + 'static) -> Self {
        self.on_waiting = Some(Arc::new(call));
        self
    }

    /// Connects with limits and timeouts of one's own.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }

    async fn run(mut self) -> Result<Client> {
        if self.config.session_id().is_some() {
            let client = Client::connect_with(self.config.clone(), self.options.clone()).await?;
            // Any call will do: it is the session that is looked at first.
            let call = client.volt().check_compatibility(CheckCompatibilityRequest::default());
            match call.await {
                Err(error) if error.is_session_invalid() => {
                    tracing::debug!("the Volt does not know the session any more");
                    forget_session(&mut self.config);
                }
                Err(error) if error.is_connection() || error.is_deadline() => return Err(error),
                _ => return Ok(client),
            }
        }
        let has_key = self.config.credential.as_ref().is_some_and(|own| own.key.is_some());
        if !has_key {
            self.config = self.config.with_new_key()?;
            self.config.save()?;
        }
        let answer = self.ask().await?;
        request::take_answer(&mut self.config, answer)?;
        self.config.save()?;
        Client::connect_with(self.config, self.options).await
    }

    /// Asks until the Volt has decided.
    async fn ask(&self) -> Result<AuthenticateResponse> {
        let request = request::build(self)?;
        let client = Client::connect_with(self.config.clone(), self.options.clone()).await?;
        loop {
            let answer = client.volt().authenticate(request.clone()).await?;
            let waiting = match answer.decision() {
                PolicyDecision::Permit => return Ok(answer),
                decision @ (PolicyDecision::Prompt | PolicyDecision::Pending) => decision,
                decision => return Err(denied(decision)),
            };
            if let Some(call) = &self.on_waiting {
                call(waiting);
            }
            if !self.wait {
                return Err(denied(waiting));
            }
            sleep(self.poll_interval).await;
        }
    }
}

impl IntoFuture for Authenticate {
    type Output = Result<Client>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// A refusal with `PERMISSION_DENIED` when the Volt denies the session, or with
    /// `FAILED_PRECONDITION` when its owner must decide and that was not to be waited for; a deadline
    /// error when nobody decided in time; a configuration error when the file cannot be written, which
    /// then is as it was. Otherwise as [`Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind. The Volt may have made a session, or asked its
    /// owner, all the same, and a new key may have been saved: doing it again goes on from there.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Some(limit) = self.deadline else { return self.run().await };
            timeout(limit, self.run()).await.unwrap_or_else(|_| {
                let message = format!("nobody let this client in within {limit:?}");
                Err(Error::deadline(message))
            })
        })
    }
}

/// What the Volt gave to a session goes with it.
fn forget_session(config: &mut ClientConfig) {
    if let Some(own) = &mut config.credential {
        own.session_id = None;
        own.cert = None;
    }
}

fn denied(decision: PolicyDecision) -> Error {
    let (code, message) = match decision {
        PolicyDecision::Prompt | PolicyDecision::Pending => {
            (Code::FailedPrecondition, "the owner of the Volt must let this client in first")
        }
        PolicyDecision::Deny => (Code::PermissionDenied, "the Volt denies this client a session"),
        _ => (Code::PermissionDenied, "the Volt has not decided to give this client a session"),
    };
    Error::refused(Status::new(code, message))
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("config", &self.config)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
