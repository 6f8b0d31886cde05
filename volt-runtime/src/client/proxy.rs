//! The choice of a proxy.
//!
//! The variables and their rules are those of curl, so that a machine's settings work as its users expect.
//! `tunnel.rs` opens the tunnel.

use std::{fmt, sync::Arc};

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::reach::Reach;
use crate::{Error, Result, redact};

/// The HTTP proxy of the connections.
///
/// The default is the [environment's](Self::from_environment). The client opens a tunnel with
/// `CONNECT`, for `https://` and for `http://` addresses, and then uses it like a direct connection:
/// the proxy sees what the network would see. Loopback targets, which include `localhost` and the
/// names below it, never use a proxy.
///
/// Through a proxy, the client does not resolve the target's name. Without TLS, a name is therefore
/// rejected unless plaintext is [allowed](crate::ClientConfig::with_plaintext).
///
/// A user name and password in the proxy's address are sent to it with basic authentication, and never
/// printed.
///
/// ```
/// use volt_runtime::{ConnectOptions, Proxy};
///
/// # fn main() -> volt_runtime::Result<()> {
/// let mut options = ConnectOptions::default();
/// options.proxy = Proxy::new("http://user:secret@proxy.example:3128")?;
/// assert_eq!(format!("{:?}", options.proxy), "Proxy(http://(hidden)@proxy.example:3128)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Proxy(Choice);

#[derive(Clone, Default)]
enum Choice {
    #[default]
    Environment,
    None,
    Given(Arc<Zeroizing<String>>),
}

impl Proxy {
    /// Follows the environment, as curl does: `HTTPS_PROXY` for `https://` addresses, `HTTP_PROXY` for
    /// `http://` addresses, else `ALL_PROXY`, each in upper or lower case. `NO_PROXY` lists the names,
    /// addresses and networks that are connected to directly. In a CGI program, which `REQUEST_METHOD`
    /// indicates, `HTTP_PROXY` is ignored in upper case, because a request could set it.
    ///
    /// The variables are read when a client connects for the first time.
    pub fn from_environment() -> Self {
        Self(Choice::Environment)
    }

    /// Uses no proxy.
    pub fn none() -> Self {
        Self(Choice::None)
    }

    /// Uses the proxy at this address: `http://host:port`, or `https://host:port` for TLS to the proxy.
    /// The address may contain a user name and password, percent-encoded.
    ///
    /// # Errors
    ///
    /// Returns a configuration error if the address is invalid, or names another kind of proxy.
    pub fn new(address: impl Into<String>) -> Result<Self> {
        let address = address.into();
        read("the proxy", &address)?;
        Ok(Self(Choice::Given(Arc::new(address.into()))))
    }

    /// Returns the proxy for a host, without the brackets of an IPv6 address.
    ///
    /// # Errors
    ///
    /// Returns a configuration error that names the variable with an unusable address.
    pub(super) fn for_host(&self, secure: bool, host: &str) -> Result<Option<Via>> {
        match self.address(&|name| std::env::var(name).ok(), secure, host) {
            Some((source, address)) => read(source, &address).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the proxy's address for a host, with its user name and password.
    ///
    /// # Errors
    ///
    /// Same as when connecting.
    #[doc(hidden)]
    pub fn address_for(&self, secure: bool, host: &str) -> Result<Option<Zeroizing<String>>> {
        let Some((source, address)) = self.address(&|name| std::env::var(name).ok(), secure, host)
        else {
            return Ok(None);
        };
        read(source, &address)?;
        let scheme = if address.contains("://") { "" } else { "http://" };
        Ok(Some(Zeroizing::new(format!("{scheme}{}", *address))))
    }

    /// Returns the address that applies to a host, and its origin.
    fn address(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        secure: bool,
        host: &str,
    ) -> Option<(&'static str, Zeroizing<String>)> {
        if Reach::of_host(host) == Reach::Loopback {
            return None;
        }
        match &self.0 {
            Choice::None => None,
            Choice::Given(address) => Some(("the proxy", Zeroizing::clone(address))),
            Choice::Environment => from_environment(variable, secure, host),
        }
    }
}

/// Returns the proxy of the environment for a host, and the variable that names it. `NO_PROXY` is
/// evaluated by hyper-util's matcher, with a placeholder for the proxy.
fn from_environment(
    variable: &dyn Fn(&str) -> Option<String>,
    secure: bool,
    host: &str,
) -> Option<(&'static str, Zeroizing<String>)> {
    let set = |name: &'static str| {
        let value = variable(name).filter(|value| !value.trim().is_empty())?;
        Some((name, Zeroizing::new(value)))
    };
    let own = if secure {
        set("HTTPS_PROXY").or_else(|| set("https_proxy"))
    } else if variable("REQUEST_METHOD").is_some() {
        set("http_proxy")
    } else {
        set("HTTP_PROXY").or_else(|| set("http_proxy"))
    };
    let proxy = own.or_else(|| set("ALL_PROXY")).or_else(|| set("all_proxy"))?;
    let (_, no) = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
    let matcher = Matcher::builder().all("http://proxy.invalid").no(no.as_str()).build();
    matcher.intercept(&target(host)?)?;
    Some(proxy)
}

/// An address of this host, for the matcher.
fn target(host: &str) -> Option<Uri> {
    let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("http://{}{host}{}/", brackets.0, brackets.1).parse().ok()
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Environment => f.write_str("Proxy(environment)"),
            Choice::None => f.write_str("Proxy(none)"),
            Choice::Given(address) => write!(f, "Proxy({})", redact::address(address)),
        }
    }
}

/// The proxy of one connection.
pub(super) struct Via {
    pub(super) host: String,
    pub(super) port: u16,
    /// Set if the proxy is reached over TLS.
    pub(super) secure: bool,
    pub(super) authorization: Option<HeaderValue>,
    /// The name for messages.
    pub(super) name: String,
}

/// Reads the address of a proxy, from a variable or an option.
fn read(source: &str, address: &str) -> Result<Via> {
    let invalid = |why: &str| {
        Error::configuration(format!("{source} is `{}`, which {why}", redact::address(address)))
    };
    // hyper-util parses a proxy's address only within its matcher, so query it for the proxy of an
    // arbitrary host.
    let proxy = target("volt.invalid")
        .and_then(|target| Matcher::builder().all(address.trim()).build().intercept(&target))
        .ok_or_else(|| invalid("is not the address of a proxy: write http://host:port"))?;
    let uri = Intercept::uri(&proxy);
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => {
            return Err(invalid(
                "is not an HTTP proxy: write http://host:port, or connect with a custom \
                 `ConnectOptions::connector`",
            ));
        }
    };
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err(invalid("has no host: write http://host:port"));
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A port that is not a number up to 65535 would be dropped.
    let given = uri.authority().and_then(|authority| authority.as_str().strip_prefix(host));
    let port = match (given, uri.port_u16()) {
        (Some(""), _) => {
            if secure {
                443
            } else {
                80
            }
        }
        (_, Some(port @ 1..)) => port,
        _ => return Err(invalid("has an invalid port: write http://host:port")),
    };
    let scheme = if secure { "https" } else { "http" };
    let name = match source {
        "the proxy" => format!("the proxy {scheme}://{host}:{port}"),
        variable => format!("the proxy {scheme}://{host}:{port} of `{variable}`"),
    };
    let authorization = proxy.basic_auth().cloned();
    Ok(Via { host: bare.to_owned(), port, secure, authorization, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of the proxy that this environment selects for a target.
    fn chosen(variables: &[(&str, &str)], secure: bool, host: &str) -> Option<String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (source, address) = Proxy::default().address(&get, secure, host)?;
        Some(read(source, &address).map_or_else(|error| error.to_string(), |via| via.name))
    }

    #[test]
    fn the_environment_chooses_by_scheme_and_case() {
        let all = ("all_proxy", "http://a.example:1");
        for (variables, secure, expected) in [
            (&[][..], true, None),
            (&[("HTTPS_PROXY", "http://p.example:3128")], true, Some("p.example:3128 of `HTTPS_P")),
            (&[("https_proxy", "p.example:3128")], true, Some("http://p.example:3128 of `https_p")),
            (&[("HTTPS_PROXY", "http://p.example")], false, None),
            (&[("HTTP_PROXY", "http://p.example")], false, Some("p.example:80 of `HTTP_PROXY`")),
            (&[("http_proxy", "https://p.example")], false, Some("https://p.example:443 of")),
            (&[("HTTPS_PROXY", "http://p.example"), all], false, Some("a.example:1")),
            (&[("HTTPS_PROXY", " "), all], true, Some("a.example:1")),
            (&[("HTTPS_PROXY", "http://[2001:db8::1]:8"), all], true, Some("[2001:db8::1]:8")),
            (&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://p.example")], false, None),
        ] {
            let chosen = chosen(variables, secure, "volt.example");
            match expected {
                None => assert_eq!(chosen, None, "{variables:?}"),
                Some(part) => assert!(chosen.as_ref().unwrap().contains(part), "{chosen:?}"),
            }
        }
    }

    #[test]
    fn excluded_and_loopback_hosts_go_direct() {
        let rules = [
            ("ALL_PROXY", "http://p.example"),
            ("no_proxy", "example.com, .corp.example,10.0.0.0/8, 192.0.2.1,2001:db8::/32"),
        ];
        for (host, direct) in [
            ("example.com", true),
            ("a.example.com", true),
            ("notexample.com", false),
            ("x.corp.example", true),
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("192.0.2.1", true),
            ("2001:db8::7", true),
            ("2001:db9::7", false),
            ("localhost", true),
            ("LOCALHOST.", true),
            ("volt.localhost", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
        ] {
            for secure in [true, false] {
                assert_eq!(chosen(&rules, secure, host).is_none(), direct, "{host}");
            }
        }
        let everything = [("ALL_PROXY", "http://p.example"), ("NO_PROXY", "*")];
        assert_eq!(chosen(&everything, true, "volt.example"), None);
    }

    #[test]
    fn an_unusable_proxy_is_an_error_without_its_password() {
        for address in [
            "socks5://user:SECRET@p.example",
            "ftp://user:SECRET@p.example",
            "http://user:SECRET@",
            "http://user:SECRET@p.example:99999",
            "http://user:SEC RET@p.example",
        ] {
            let text = chosen(&[("HTTPS_PROXY", address)], true, "volt.example").unwrap();
            assert!(
                text.contains("`HTTPS_PROXY` is `") || text.contains("HTTPS_PROXY is"),
                "{text}"
            );
            assert!(text.contains("http://host:port"), "{text}");
            let error = Proxy::new(address).unwrap_err();
            assert!(error.is_configuration(), "{error}");
            for shown in [text, format!("{error} {error:?}")] {
                assert!(!shown.contains("SECRET") && !shown.contains("RET@"), "{shown}");
            }
        }
    }

    #[test]
    fn passwords_are_sent_but_never_shown() {
        let address = "http://user:SECRET%21@p.example:3128";
        let proxy = Proxy::new(address).unwrap();
        let via = proxy.for_host(true, "volt.example").unwrap().unwrap();
        let authorization = via.authorization.unwrap();
        assert_eq!(authorization, "Basic dXNlcjpTRUNSRVQh");
        let options = crate::ConnectOptions { proxy, ..Default::default() };
        let shown = format!("{options:?} {} {authorization:?}", via.name);
        assert!(!shown.contains("SECRET") && !shown.contains("dXNlc"), "{shown}");
        assert!(shown.contains("p.example:3128"), "{shown}");
    }
}
