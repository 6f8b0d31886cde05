//! Authentication: from a configuration to a session.

mod builder;
mod request;

use tokio::time::{sleep, timeout};
use volt_runtime::{ClientConfig, Code, Error, Result, Status, transport::BoxFuture};

pub use self::builder::{Authenticate, Challenge, Identity};
use crate::{
    Client,
    volt::{AuthenticateResponse, CheckCompatibilityRequest, PolicyDecision},
};

impl Authenticate {
    async fn run(mut self) -> Result<Client> {
        if self.config.session_id().is_some() {
            let client = Client::connect_with(self.config.clone(), self.options.clone()).await?;
            // Any call will do: a Volt checks the session first.
            let call = client.volt().check_compatibility(CheckCompatibilityRequest::default());
            match call.await {
                Err(error) if error.is_session_invalid() => {
                    tracing::debug!("the Volt no longer accepts the session");
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
    /// A refusal with `PERMISSION_DENIED` if the Volt denies the session, or with `FAILED_PRECONDITION`
    /// if its owner must decide and [`fail_if_pending`](Self::fail_if_pending) is set; a deadline error if
    /// the owner did not decide in time; a configuration error if the file cannot be written, which is
    /// then unchanged. Otherwise as [`Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind. The Volt may still have created a session or asked
    /// its owner, and a new key may have been saved. Authenticating again continues from there.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Some(limit) = self.deadline else { return self.run().await };
            timeout(limit, self.run()).await.unwrap_or_else(|_| {
                let message =
                    format!("the owner of the Volt did not approve this client within {limit:?}");
                Err(Error::deadline(message))
            })
        })
    }
}

/// Removes the session and the certificate that the Volt issued for it.
fn forget_session(config: &mut ClientConfig) {
    if let Some(own) = &mut config.credential {
        own.session_id = None;
        own.cert = None;
    }
}

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
