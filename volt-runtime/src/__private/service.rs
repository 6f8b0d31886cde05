//! Macros that expand tables to the code of generated services.

/// Describes a service: one constant for each method, and the client's associated constants.
///
/// ```text
/// service! { ShopApiClient = "shop.v1.ShopAPI" {
///     GET_ARTICLE "GetArticle" Unary(GetArticleRequest => GetArticleResponse);
/// } }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __service {
    (
        $client:ident = $name:literal {
            $($method:ident $path:literal $kind:ident($request:ty => $response:ty);)*
        }
    ) => {
        $(
            const $method: $crate::__private::Method = $crate::__private::Method {
                path: ::core::concat!("/", $name, "/", $path),
                kind: $crate::__private::MethodKind::$kind,
            };
        )*

        impl $client {
            /// The name of the service on the wire.
            pub const NAME: &'static ::core::primitive::str = $name;

            /// All methods, in the order of the `.proto`.
            pub const METHODS: &'static [$crate::__private::Method] = &[$($method),*];

            $(
                #[doc = ::core::concat!("The method `", $path, "`, with the types of its messages.")]
                pub const $method: $crate::__private::TypedMethod<
                    $crate::__private::call::$kind<$request, $response>,
                > = $crate::__private::TypedMethod::new(&$method);
            )*

            /// Creates a client whose calls use `channel`.
            #[must_use]
            pub fn new(channel: $crate::__private::Channel) -> Self {
                Self { channel }
            }
        }

        // This is a trait method, so it cannot collide with a method of a service.
        impl ::core::convert::AsRef<$crate::__private::Channel> for $client {
            /// The channel that carries the calls, for clients of other services.
            fn as_ref(&self) -> &$crate::__private::Channel {
                &self.channel
            }
        }
    };
}

/// Implements `Service` for implementations of a generated service trait.
///
/// ```text
/// server! { ShopApi, ShopApiClient, ShopApiServer {
///     0 unary get_article;
/// } }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __server {
    ($service:ident, $client:ident, $server:ident { $($index:literal $kind:ident $method:ident;)* }) => {
        impl<__T> $server<__T> {
            /// Serves `service`.
            pub fn new(service: __T) -> Self {
                Self::from_arc(::std::sync::Arc::new(service))
            }

            /// Serves a shared service.
            pub fn from_arc(service: ::std::sync::Arc<__T>) -> Self {
                Self { service }
            }
        }

        impl<__T> ::core::clone::Clone for $server<__T> {
            fn clone(&self) -> Self {
                Self::from_arc(::std::sync::Arc::clone(&self.service))
            }
        }

        impl<__T: $service> $crate::__private::Service for $server<__T> {
            fn name(&self) -> &'static ::core::primitive::str {
                $client::NAME
            }

            fn methods(&self) -> &'static [$crate::__private::Method] {
                $client::METHODS
            }

            fn call(
                &self,
                method: ::core::primitive::usize,
                call: $crate::__private::IncomingCall,
            ) -> $crate::__private::BoxFuture<()> {
                let service = ::std::sync::Arc::clone(&self.service);
                match method {
                    $($index => $crate::__dispatch!($kind call, service, <__T as $service>::$method),)*
                    _ => {
                        ::core::mem::drop(service);
                        $crate::__private::unknown_method(call)
                    }
                }
            }
        }
    };
}

/// Runs one method for an incoming call.
#[doc(hidden)]
#[macro_export]
macro_rules! __dispatch {
    (unary $call:ident, $service:ident, $method:expr) => {
        $crate::__private::unary($call, move |context, request| async move {
            $method(&$service, context, request).await
        })
    };
    (server_streaming $call:ident, $service:ident, $method:expr) => {
        $crate::__private::server_streaming($call, move |context, request, responses| async move {
            $method(&$service, context, request, responses).await
        })
    };
    (client_streaming $call:ident, $service:ident, $method:expr) => {
        $crate::__private::client_streaming($call, move |context, requests| async move {
            $method(&$service, context, requests).await
        })
    };
    (bidi $call:ident, $service:ident, $method:expr) => {
        $crate::__private::bidi($call, move |context, requests, responses| async move {
            $method(&$service, context, requests, responses).await
        })
    };
}
