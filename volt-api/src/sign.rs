//! Signatures by the Volt, and checks of signatures.
//!
//! [`VoltApiClient::sign`] signs with the Volt's key. The client's own key needs no call:
//!
//! ```
//! # fn example(config: volt_api::ClientConfig) -> volt_api::Result<()> {
//! let key = config.signing_key()?;
//! let signature = key.sign(b"the contract")?;
//! // Others check it with the public key: `VerifyingKey::from_pem`.
//! assert!(key.verifying_key().verify(b"the contract", &signature));
//! # Ok(())
//! # }
//! ```

use std::future::IntoFuture;

use volt_runtime::{Code, Error, Result, transport::BoxFuture};

use crate::{
    operation::Operation,
    volt::{SignVerifyRequest, VoltApiClient, sign_verify_response::Payload},
};

/// A message that has not been signed yet, created by [`VoltApiClient::sign`]. Await it for the
/// signature.
pub type Sign = Operation<MessageToSign>;

/// The kind of a [`Sign`].
#[derive(Debug)]
pub struct MessageToSign {
    client: VoltApiClient,
    message: String,
}

/// A signature that has not been checked yet, created by [`VoltApiClient::verify`]. Await it for a
/// `bool`.
pub type Verify = Operation<SignatureToVerify>;

/// The kind of a [`Verify`].
#[derive(Debug)]
pub struct SignatureToVerify {
    client: VoltApiClient,
    message: String,
    signature: Vec<u8>,
    identity: String,
}

impl VoltApiClient {
    /// Signs a text with the Volt's key. Only the owner of the Volt may do this.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// let signature = client.volt().sign("the contract").await?;
    /// assert!(client.volt().verify("the contract", &signature).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sign(&self, message: impl Into<String>) -> Sign {
        Operation::new(MessageToSign { client: self.clone(), message: message.into() })
    }

    /// Checks a signature of the Volt, or of [another identity](Verify::by).
    pub fn verify(&self, message: impl Into<String>, signature: impl AsRef<[u8]>) -> Verify {
        Operation::new(SignatureToVerify {
            client: self.clone(),
            message: message.into(),
            signature: signature.as_ref().to_vec(),
            identity: String::new(),
        })
    }
}

impl Verify {
    /// Sets whose signature it should be: a DID. Default: the Volt's.
    pub fn by(mut self, identity: impl Into<String>) -> Self {
        self.kind.identity = identity.into();
        self
    }
}

impl IntoFuture for Sign {
    type Output = Result<Vec<u8>>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt refuses to sign.
    ///
    /// # Cancel safety
    ///
    /// Signing changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let MessageToSign { client, message } = self.kind;
            let request = SignVerifyRequest::default().with_message(message);
            match settings.apply(client.sign_verify(request)).idempotent().await?.payload {
                Some(Payload::Digest(signature)) => Ok(signature),
                _ => Err(Error::protocol("the Volt's answer has no signature")),
            }
        })
    }
}

impl IntoFuture for Verify {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the Volt does not know the identity, or refuses the check. A wrong signature is not an
    /// error. Volts report it with [`Code::InvalidArgument`], so other failures with that code are not
    /// errors either.
    ///
    /// # Cancel safety
    ///
    /// Checking changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let SignatureToVerify { client, message, signature, identity } = self.kind;
            let request = SignVerifyRequest::default()
                .with_verify(true)
                .with_message(message)
                .with_identity_did(identity)
                .with_digest_raw(signature);
            match settings.apply(client.sign_verify(request)).idempotent().await {
                Ok(answer) if answer.payload.is_none() => Ok(true),
                Ok(_) => Err(Error::protocol("the Volt has signed the message, not verified it")),
                Err(error) if error.is_refused() && error.code() == Code::InvalidArgument => {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        })
    }
}
