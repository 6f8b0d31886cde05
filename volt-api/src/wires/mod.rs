//! Publishing to wires, and following them with their history.
//!
//! ```no_run
//! # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
//! let wires = client.wire();
//! wires.publish("@news", "good morning").await?;
//!
//! let mut news = wires.publisher("@news").await?;
//! for hour in 0..24 {
//!     news.publish(format!("it is {hour} o'clock")).await?;
//! }
//! news.finish().await?;
//! # Ok(())
//! # }
//! ```

#[cfg(all(feature = "sqlite-database", feature = "volt"))]
mod follow;
mod publish;

#[cfg(all(feature = "sqlite-database", feature = "volt"))]
pub use self::follow::{Follow, Follower, WireEvent, WireMessage, WireToFollow};
pub use self::publish::{OpenPublisher, Publish, PublishMessage, Publisher, PublisherStart};
