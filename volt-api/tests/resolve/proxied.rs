//! Searches through a proxy.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use volt_api::{Proxy, resolve::Resolver};

use crate::server::{Reply, Scripted};

/// Plain HTTP is forwarded, and `https` tunnelled. Both authenticate.
#[tokio::test]
async fn a_proxy_password_is_sent_but_never_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = Proxy::new(format!("http://user:SECRET@{address}")).unwrap();
    let resolver = Resolver::new().proxy(proxy);
    for (target, expected) in [
        ("http://volt.invalid", "GET http://volt.invalid/discover HTTP/1.1\r\n"),
        ("https://volt.invalid", "CONNECT volt.invalid:443 HTTP/1.1\r\n"),
    ] {
        let search = resolver.find(target);
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            String::from_utf8(head).unwrap()
        };
        let (outcome, head) = tokio::join!(search, serve);
        assert!(head.starts_with(expected), "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("proxy-authorization: basic dxnlcjptrunsrvq=\r\n"), "{head}");
        let error = outcome.unwrap_err();
        let shown = format!("{error} {error:?} {resolver:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_loopback_server_is_queried_directly() {
    let proxy = Scripted::start(|_| Reply::NotFound).await;
    let server = Scripted::start(|_| Reply::NotFound).await;
    let resolver = Resolver::new().proxy(Proxy::new(proxy.url()).unwrap());
    resolver.find(&server.url()).await.unwrap_err();
    assert!(proxy.asked().is_empty());
    assert_eq!(server.asked(), ["/discover"]);
}
