//! What the Volt can do to a client.

/// What `../../inputs.json` describes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Input {
    /// Nothing.
    Good,
    // Before there is a websocket.
    SilentUpgrade,
    RefusedUpgrade,
    // What happens to the connection.
    Cut,
    HalfClose,
    Reset,
    Frozen,
    Drip,
    // The key exchange.
    SilentKeys,
    Rejected,
    StrangeKey,
    ShortKey,
    ShortSignature,
    PayloadFirst,
    SecondKey,
    // What is no frame.
    Ping,
    Empty,
    ShortHeader,
    UnknownVersion,
    Text,
    TooLong,
    Flood,
    // Within the call.
    SilentCall,
    Truncated,
    ShortIv,
    Padding,
    NoJson,
    NoEnvelope,
    DeepMetadata,
    DeepMessage,
    NoAnswer,
    TwoAnswers,
    AfterTheEnd,
    UnknownCode,
    NoReason,
    Unread,
}
