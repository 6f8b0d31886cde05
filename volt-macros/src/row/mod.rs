//! `#[derive(FromRow)]`: one expression for each field.

mod attributes;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Data, DeriveInput, Field, Fields, FieldsNamed, GenericArgument, PathArguments, Type,
    ext::IdentExt as _, spanned::Spanned as _,
};

use self::attributes::{Container, Source};

/// Generates the implementation of `FromRow`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input)?;
    let container = Container::of(&input.attrs)?;
    let mut values = Vec::new();
    let mut errors: Option<syn::Error> = None;
    for field in &fields.named {
        match value(field, &container) {
            Ok(value) => values.push(value),
            // Report all invalid fields.
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::volt_api::rows::FromRow for #name #arguments #bounds {
            fn from_row(
                row: &::volt_api::rows::Row<'_>,
            ) -> ::core::result::Result<Self, ::volt_api::rows::RowError> {
                ::core::result::Result::Ok(Self { #(#values),* })
            }
        }
    })
}

fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    let what = match &input.data {
        Data::Struct(item) => match &item.fields {
            Fields::Named(fields) => return Ok(fields),
            _ => "a struct without named fields",
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    let message = format!(
        "columns map to fields by name, and {what} has none; tuples such as `(i64, String)` are \
         read by position"
    );
    Err(syn::Error::new(input.ident.span(), message))
}

/// The field and its value in a struct expression.
fn value(field: &Field, container: &Container) -> syn::Result<TokenStream> {
    let Some(ident) = &field.ident else { return Ok(TokenStream::new()) };
    let source = Source::of(&field.attrs)?;
    let default = quote!(::core::default::Default::default());
    let Source::Column { rename, from_str, default: may_be_missing } = source else {
        return Ok(quote!(#ident: #default));
    };
    let column = rename.unwrap_or_else(|| container.column(&ident.unraw().to_string()));
    let read = read(&field.ty, &column, from_str);
    Ok(if may_be_missing {
        quote!(#ident: if row.has(#column) { #read } else { #default })
    } else {
        quote!(#ident: #read)
    })
}

/// The expression that reads a column as a type. For an invalid type, the compiler's error points
/// at it.
fn read(ty: &Type, column: &str, from_str: bool) -> TokenStream {
    // Errors must point at the type, not at the derive.
    let parsed = quote_spanned!(ty.span()=> ::volt_api::rows::Parsed);
    match optional(ty) {
        _ if !from_str => quote_spanned!(ty.span()=> row.get::<#ty>(#column)?),
        Some(inner) => quote_spanned! {ty.span()=>
            row.get::<::core::option::Option<#parsed<#inner>>>(#column)?.map(|parsed| parsed.0)
        },
        None => quote_spanned!(ty.span()=> row.get::<#parsed<#ty>>(#column)?.0),
    }
}

/// The `T` of an `Option<T>`.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn expanded(item: &str) -> Result<String, Vec<String>> {
        let expanded = syn::parse_str(item).and_then(|input| expand(&input));
        match expanded {
            Ok(tokens) => Ok(tokens.to_string().replace(' ', "")),
            Err(error) => Err(error.into_iter().map(|error| error.to_string()).collect()),
        }
    }

    /// The values of a struct's fields.
    fn values(item: &str) -> String {
        let code = expanded(item).unwrap();
        let (_, values) = code.split_once("Ok(Self{").unwrap();
        values.strip_suffix("})}}").unwrap().to_owned()
    }

    fn error(item: &str) -> String {
        expanded(item).unwrap_err().join("\n")
    }

    #[test]
    fn a_field_is_the_column_of_its_name() {
        assert_eq!(
            values("struct A { id: i64, r#type: Option<String> }"),
            "id:row.get::<i64>(\"id\")?,r#type:row.get::<Option<String>>(\"type\")?"
        );
    }

    #[test]
    fn columns_are_renamed_one_by_one_or_all() {
        let cases = [
            ("camelCase", "unitPrice"),
            ("PascalCase", "UnitPrice"),
            ("snake_case", "unit_price"),
            ("SCREAMING_SNAKE_CASE", "UNIT_PRICE"),
            ("kebab-case", "unit-price"),
        ];
        for (case, column) in cases {
            assert_eq!(
                values(&format!(
                    "#[row(rename_all = \"{case}\")] struct A {{ unit_price: i64, #[row(rename = \"n_o\")] b: i64 }}"
                )),
                format!("unit_price:row.get::<i64>(\"{column}\")?,b:row.get::<i64>(\"n_o\")?")
            );
        }
    }

    #[test]
    fn types_are_read_via_from_str_on_request() {
        assert_eq!(
            values("struct A { #[row(from_str)] a: IpAddr, #[row(from_str)] b: Option<IpAddr> }"),
            "a:row.get::<::volt_api::rows::Parsed<IpAddr>>(\"a\")?.0,\
             b:row.get::<::core::option::Option<::volt_api::rows::Parsed<IpAddr>>>(\"b\")?.map(|parsed|parsed.0)"
        );
    }

    #[test]
    fn fields_may_do_without_a_column() {
        assert_eq!(
            values("struct A { #[row(default)] a: i64, #[row(skip)] b: Vec<i64> }"),
            "a:ifrow.has(\"a\"){row.get::<i64>(\"a\")?}else{::core::default::Default::default()},\
             b:::core::default::Default::default()"
        );
    }

    #[test]
    fn generics_are_kept() {
        let code = expanded("struct A<T> where T: FromValue { a: T }").unwrap();
        assert!(
            code.contains("impl<T>::volt_api::rows::FromRowforA<T>whereT:FromValue{"),
            "{code}"
        );
    }

    #[test]
    fn only_structs_with_names_have_columns() {
        for (item, what) in [
            ("struct A(i64);", "a struct without named fields"),
            ("struct A;", "a struct without named fields"),
            ("enum A { B }", "an enum"),
            ("union A { b: i64 }", "a union"),
        ] {
            assert_eq!(
                error(item),
                format!(
                    "columns map to fields by name, and {what} has none; tuples such as `(i64, \
                     String)` are read by position"
                )
            );
        }
    }

    #[test]
    fn all_wrong_attributes_are_reported() {
        assert_eq!(
            error(
                "struct A { #[row(renam = \"x\")] a: i64, #[row(skip, from_str)] b: i64, #[row(rename = \"\")] c: i64 }"
            ),
            "there is no `renam`: use `rename`, `from_str`, `default` or `skip`\n\
             a skipped field has no column: remove its other attributes\n\
             `rename` is empty: name a column"
        );
        assert_eq!(
            error("#[row(rename = \"x\")] struct A { a: i64 }"),
            "there is no `rename` for a struct: use `rename_all`"
        );
        assert_eq!(
            error("#[row(rename_all = \"Camel\")] struct A { a: i64 }"),
            "there is no such case: use `camelCase`, `PascalCase`, `snake_case`, `SCREAMING_SNAKE_CASE` or \
             `kebab-case`"
        );
    }
}
