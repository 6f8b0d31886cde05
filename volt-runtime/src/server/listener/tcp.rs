//! The options of a client's TCP connection.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::server::ServerOptions;

/// The number of probes, a quarter of the time apart, that a vanished machine does not answer.
const PROBES: u32 = 4;

/// Sets the options of a connection.
pub(in crate::server) fn prepare(stream: &TcpStream, options: &ServerOptions) -> io::Result<()> {
    // Answers are small and depend on one another: with Nagle's algorithm, each would wait for its
    // timer.
    stream.set_nodelay(true)?;
    let Some(silence) = options.tcp_keepalive else { return Ok(()) };
    // Systems count whole seconds.
    let silence = silence.max(Duration::from_secs(1));
    let interval = (silence / PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(silence).with_interval(interval);
    #[cfg(unix)]
    let keepalive = keepalive.with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(all(test, unix))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn connections_have_tcp_keepalive_unless_turned_off() {
        for (wanted, found) in [(None, None), (Some(90), Some((90, 22))), (Some(0), Some((1, 1)))] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut options = ServerOptions::default();
            assert!(options.tcp_keepalive.is_some(), "it is on by default");
            options.tcp_keepalive = wanted.map(Duration::from_secs);
            prepare(&stream, &options).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), found.is_some());
            if let Some((time, interval)) = found {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(time));
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(interval));
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
            }
        }
    }
}
