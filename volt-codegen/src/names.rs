//! Rust names for protobuf names, identical to prost-build's.

use heck::{ToKebabCase, ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span, TokenStream};

/// A name for fields, methods and modules.
pub(crate) fn snake(name: &str) -> String {
    sanitize(name.to_snake_case())
}

/// A name that follows a prefix, so that it need not avoid keywords.
pub(crate) fn snake_rest(name: &str) -> String {
    name.to_snake_case()
}

/// A name for types and variants.
pub(crate) fn upper_camel(name: &str) -> String {
    sanitize(name.to_upper_camel_case())
}

/// A name for constants. No Rust keyword is in upper case.
pub(crate) fn shouty(name: &str) -> String {
    sanitize(name.to_shouty_snake_case())
}

/// A name for Cargo features.
pub(crate) fn kebab(name: &str) -> String {
    name.to_kebab_case()
}

/// The variant of an enum's value, without the enum's own name as a prefix.
pub(crate) fn variant(enum_ident: &str, value: &str) -> String {
    let name = upper_camel(value);
    match name.strip_prefix(enum_ident) {
        Some(rest) if rest.starts_with(char::is_uppercase) => sanitize(rest.to_owned()),
        _ => sanitize(name),
    }
}

/// The name of a field in JSON, where the descriptors have none: in camelCase, by protobuf's rule.
pub(crate) fn json(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => json.push(letter.to_ascii_uppercase()),
            _ => json.push(letter),
        }
    }
    json
}

/// The name without the `r#` of a raw identifier.
pub(crate) fn bare(ident: &str) -> &str {
    ident.strip_prefix("r#").unwrap_or(ident)
}

/// An identifier token.
pub(crate) fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(keyword) => Ident::new_raw(keyword, Span::call_site()),
        None => Ident::new(name, Span::call_site()),
    }
}

/// The tokens of a path. The model has validated or created each of its parts.
pub(crate) fn tokens(path: &str) -> TokenStream {
    path.parse().unwrap_or_default()
}

/// Returns whether a user's path is valid, such as `::volt_api::api` or `crate::generated`.
pub(crate) fn is_path(path: &str) -> bool {
    syn::parse_str::<syn::Path>(path).is_ok()
}

fn sanitize(name: String) -> String {
    match name.as_str() {
        // These keywords cannot be raw identifiers.
        "" | "_" | "super" | "self" | "Self" | "extern" | "crate" => format!("{name}_"),
        _ if name.starts_with(|first: char| first.is_numeric()) => format!("_{name}"),
        _ if is_keyword(&name) => format!("r#{name}"),
        _ => name,
    }
}

fn is_keyword(name: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do",
        "dyn", "else", "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
        "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
        "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
        "virtual", "where", "while", "yield",
    ];
    KEYWORDS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_those_of_prost() {
        assert_eq!(snake("XMLHttpRequest"), "xml_http_request");
        assert_eq!(snake("field__name4_"), "field_name4");
        assert_eq!(snake("type"), "r#type");
        assert_eq!(snake("self"), "self_");
        assert_eq!(upper_camel("SqlImportCSVRequest"), "SqlImportCsvRequest");
        assert_eq!(upper_camel("self"), "Self_");
        assert_eq!(variant("MethodType", "METHOD_TYPE_UNARY"), "Unary");
        assert_eq!(variant("Foo", "Foobar"), "Foobar");
        assert_eq!(variant("Foo", "FOO_SELF"), "Self_");
        assert_eq!(shouty("GetDIDRegistryUpdates"), "GET_DID_REGISTRY_UPDATES");
    }

    #[test]
    fn names_in_json_match_those_of_protoc() {
        for (name, expected) in [("foo_bar", "fooBar"), ("_foo__bar_", "FooBar"), ("Foo_2", "Foo2")]
        {
            assert_eq!(json(name), expected);
        }
    }

    #[test]
    fn raw_identifiers_are_tokens() {
        assert_eq!(ident("r#type").to_string(), "r#type");
        assert_eq!(tokens("super::r#type::Foo").to_string(), "super :: r#type :: Foo");
    }
}
