//! Parses `#[row(…)]`.

use heck::{ToKebabCase, ToLowerCamelCase, ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use syn::{Attribute, LitStr};

/// The attributes of a struct.
pub(super) struct Container {
    case: Option<fn(&str) -> String>,
}

impl Container {
    pub(super) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self { case: None };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("row")) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("rename_all") {
                    let name = name(&meta);
                    return Err(meta.error(format!("there is no `{name}` for a struct: use `rename_all`")));
                }
                let case: LitStr = meta.value()?.parse()?;
                container.case = Some(match case.value().as_str() {
                    "camelCase" => |name| name.to_lower_camel_case(),
                    "PascalCase" => |name| name.to_upper_camel_case(),
                    "snake_case" => |name| name.to_snake_case(),
                    "SCREAMING_SNAKE_CASE" => |name| name.to_shouty_snake_case(),
                    "kebab-case" => |name| name.to_kebab_case(),
                    _ => {
                        let message = "there is no such case: use `camelCase`, `PascalCase`, `snake_case`, \
                                       `SCREAMING_SNAKE_CASE` or `kebab-case`";
                        return Err(syn::Error::new(case.span(), message));
                    }
                });
                Ok(())
            })?;
        }
        Ok(container)
    }

    /// The column of a field.
    pub(super) fn column(&self, field: &str) -> String {
        self.case.map_or_else(|| field.to_owned(), |case| case(field))
    }
}

/// The attributes of a field, which determine the source of its value.
pub(super) enum Source {
    /// `skip`
    Default,
    Column {
        rename: Option<String>,
        from_str: bool,
        default: bool,
    },
}

impl Source {
    pub(super) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let (mut rename, mut from_str, mut default, mut skip) = (None, false, false, None);
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("row")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    let name: LitStr = meta.value()?.parse()?;
                    if name.value().is_empty() {
                        return Err(syn::Error::new(
                            name.span(),
                            "`rename` is empty: name a column",
                        ));
                    }
                    rename = Some(name.value());
                } else if meta.path.is_ident("from_str") {
                    from_str = true;
                } else if meta.path.is_ident("default") {
                    default = true;
                } else if meta.path.is_ident("skip") {
                    skip = Some(
                        meta.error("a skipped field has no column: remove its other attributes"),
                    );
                } else {
                    let name = name(&meta);
                    return Err(meta.error(format!(
                        "there is no `{name}`: use `rename`, `from_str`, `default` or `skip`"
                    )));
                }
                Ok(())
            })?;
        }
        match skip {
            Some(error) if rename.is_some() || from_str || default => Err(error),
            Some(_) => Ok(Self::Default),
            None => Ok(Self::Column { rename, from_str, default }),
        }
    }
}

fn name(meta: &syn::meta::ParseNestedMeta<'_>) -> String {
    let segments = meta.path.segments.iter().map(|segment| segment.ident.to_string());
    segments.collect::<Vec<_>>().join("::")
}
