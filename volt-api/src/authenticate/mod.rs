//! Authentication: obtains a session for the client of a configuration.
//!
//! A client has a key. A Volt issues a session for the key, after its owner has approved, and the
//! tokens of calls name the session. [`Client::authenticate`] does all of it:
//!
//! 1. A session in the configuration is tried with a call that changes nothing. Unless the Volt rejects the
//!    session or does not answer, the connected client is returned.
//! 2. Otherwise the client sends `Authenticate` with its identity ([`Identity`]) and, if it has them, a code
//!    that the owner recognizes ([`Challenge`]), a one-time token and verifiable credentials. A missing key is
//!    created first.
//! 3. The Volt permits, denies, or asks its owner. In the last case the client repeats the request until there
//!    is a decision.
//! 4. The session, certificate and credentials are saved, and the client connects with them. With
//!    [`renew`](Authenticate::renew) it repeats the steps when the session has expired.
//!
//! ```no_run
//! use volt_api::{Client, ClientConfig, authenticate::Challenge};
//!
//! # async fn example() -> volt_api::Result<()> {
//! // With the code by which the owner of the Volt recognizes this client.
//! let client = Client::authenticate(ClientConfig::from_file("volt.config.json")?)
//!     .challenge_code("blue-lamp-42")
//!     .challenge(Challenge::Signature)
//!     .session_name("backup")
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod request;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use volt_runtime::{ClientConfig, Code, Error, Renewal, Result, Status, transport::BoxFuture};

pub use self::builder::{Authenticate, Challenge, Identity};
use crate::{
    Client,
    volt::{AuthenticateRequest, AuthenticateResponse, CheckCompatibilityRequest, PolicyDecision},
};

impl Authenticate {
    /// Performs the steps of the [module](self).
    async fn run(mut self) -> Result<Client> {
        if self.config.session_id().is_some() {
            // Connect without renewal, which would hide that the session has expired.
            let client = self.connect().await?;
            // Any call will do: a Volt checks the session first. This call has no side effects.
            let call = client.volt().check_compatibility(CheckCompatibilityRequest::default());
            match call.await {
                Err(error) if error.is_session_invalid() => {
                    tracing::debug!("the Volt no longer accepts the session");
                    forget_session(&mut self.config);
                }
                Err(error) if is_away(&error) => return Err(error),
                _ if self.renew => return self.connect_renewing().await,
                _ => return Ok(client),
            }
        }
        // Saved before it is used: a session is bound to the key, and losing the key loses the session.
        let has_key = self.config.credential.as_ref().is_some_and(|own| own.key.is_some());
        if !has_key {
            self.config = self.config.with_new_key()?;
            self.config.save()?;
        }
        self.obtain().await?;
        if self.renew { self.connect_renewing().await } else { self.connect().await }
    }

    async fn connect(&self) -> Result<Client> {
        Client::connect_with(self.config.clone(), self.options.clone()).await
    }

    /// Connects as a client that authenticates again when its session has expired.
    async fn connect_renewing(self) -> Result<Client> {
        let (config, mut options) = (self.config.clone(), self.options.clone());
        // Each renewal begins with the configuration that the one before has saved.
        let latest = Arc::new(Mutex::new(self));
        options.renewal = Some(Renewal::new(move || Self::again(Arc::clone(&latest))));
        Client::connect_with(config, options).await
    }

    /// Obtains another session, within the deadline, and returns its id.
    async fn again(latest: Arc<Mutex<Self>>) -> Result<String> {
        let mut this = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        forget_session(&mut this.config);
        this.exchange_token = None;
        within(this.deadline, this.obtain()).await?;
        let session = this.config.session_id().map(str::to_owned);
        latest.lock().unwrap_or_else(PoisonError::into_inner).config = this.config;
        session.ok_or_else(|| Error::protocol("the Volt permitted the client without a session"))
    }

    /// Obtains a session and saves it.
    async fn obtain(&mut self) -> Result<()> {
        let answer = self.ask().await?;
        request::take_answer(&mut self.config, answer)?;
        self.config.save()
    }

    /// Repeats the request until the Volt has decided.
    async fn ask(&self) -> Result<AuthenticateResponse> {
        let request = request::build(self)?;
        let client = self.connect().await?;
        self.ask_until_decided(&client, request).await
    }

    /// Asks on one client, whose connection may be lost and restored while the owner decides.
    async fn ask_until_decided(
        &self,
        client: &Client,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse> {
        let mut asked = false;
        loop {
            let answer = match client.volt().authenticate(request.clone()).await {
                // The owner may take longer than an outage of the Volt or the network lasts.
                Err(error) if asked && is_away(&error) => {
                    let closed = client.channel().watch_state().current().is_closed();
                    if closed {
                        return Err(error);
                    }
                    tracing::debug!(%error, "the Volt could not be queried for its owner's decision");
                    sleep(self.poll_interval).await;
                    continue;
                }
                answer => answer?,
            };
            asked = true;
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
    /// Returns a refusal with `PERMISSION_DENIED` if the Volt denies the session, or with
    /// `FAILED_PRECONDITION` if its owner must decide and [`fail_if_pending`](Self::fail_if_pending) is
    /// set; a deadline error if the owner did not decide in time; a configuration error if the file cannot
    /// be written, which is then unchanged. Other errors are those of [`Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind. The Volt may still have created a session or asked
    /// its owner, and a new key may have been saved. Authenticating again continues from there.
    fn into_future(self) -> Self::IntoFuture {
        let limit = self.deadline;
        Box::pin(within(limit, self.run()))
    }
}

/// Limits the time for authenticating.
async fn within<T>(
    limit: Option<Duration>,
    authenticating: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else { return authenticating.await };
    timeout(limit, authenticating).await.unwrap_or_else(|_| {
        let message = format!("the owner of the Volt did not approve this client within {limit:?}");
        Err(Error::deadline(message))
    })
}

/// Returns whether the Volt did not answer: it or its relay could not be reached, or not in time.
fn is_away(error: &Error) -> bool {
    error.is_connection() || error.is_deadline() || error.code() == Code::Unavailable
}

/// Removes the session and the certificate that the Volt issued for it.
fn forget_session(config: &mut ClientConfig) {
    if let Some(own) = &mut config.credential {
        own.session_id = None;
        own.cert = None;
    }
}

/// The error of a client without a permit: a refusal, although the Volt's response carried no status.
fn denied(decision: PolicyDecision) -> Error {
    let (code, message) = match decision {
        PolicyDecision::Prompt | PolicyDecision::Pending => {
            (Code::FailedPrecondition, "the owner of the Volt must approve this client first")
        }
        PolicyDecision::Deny => (Code::PermissionDenied, "the Volt denies this client a session"),
        _ => (Code::PermissionDenied, "the Volt has not granted this client a session"),
    };
    Error::refused(Status::new(code, message))
}

#[cfg(all(test, feature = "server", feature = "volt"))]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering},
    };

    use volt_runtime::{
        Channel,
        server::{Context, Router},
    };

    use super::*;
    use crate::volt::{VoltApi, VoltApiServer};

    /// A Volt that prompts its owner, then stops answering for one call, then permits the client.
    #[derive(Default)]
    struct Away(AtomicU32);

    impl VoltApi for Away {
        async fn authenticate(
            &self,
            _: Context,
            _: AuthenticateRequest,
        ) -> Result<AuthenticateResponse, Status> {
            let decision = match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => PolicyDecision::Prompt,
                1 => pending().await,
                _ => PolicyDecision::Permit,
            };
            Ok(AuthenticateResponse::default().with_decision(decision))
        }
    }

    #[tokio::test]
    async fn waiting_for_the_owner_survives_a_volt_outage() {
        let router = Router::new().with(VoltApiServer::new(Away::default()));
        let channel = Channel::in_process(router);
        let client =
            Client::from_channel(channel.with_unary_timeout(Some(Duration::from_millis(20))));
        let authenticate =
            Client::authenticate(ClientConfig::default()).poll_interval(Duration::from_millis(1));
        let request = AuthenticateRequest::default();
        let asked = authenticate.ask_until_decided(&client, request.clone()).await;
        assert_eq!(asked.unwrap().decision(), PolicyDecision::Permit);
        // A first request without an answer is not retried.
        let never = Away(AtomicU32::new(1));
        let channel = Channel::in_process(Router::new().with(VoltApiServer::new(never)));
        let client =
            Client::from_channel(channel.with_unary_timeout(Some(Duration::from_millis(20))));
        let error = authenticate.ask_until_decided(&client, request).await.unwrap_err();
        assert!(error.is_deadline(), "{error}");
    }
}
