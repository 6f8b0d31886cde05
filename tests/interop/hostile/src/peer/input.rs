//! The inputs: the ways in which the Volt breaks the protocol.

/// An input. `inputs.json` describes each.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Input {
    /// Nothing.
    Good,
    // Before the websocket is open.
    SilentUpgrade,
    RefusedUpgrade,
    // To the connection.
    Cut,
    HalfClose,
    Reset,
    Frozen,
    Drip,
    // To the key exchange.
    SilentKeys,
    Rejected,
    StrangeKey,
    ShortKey,
    ShortSignature,
    PayloadFirst,
    SecondKey,
    // Invalid frames before the answer.
    Ping,
    Empty,
    ShortHeader,
    UnknownVersion,
    Text,
    TooLong,
    Flood,
    // To the call.
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
