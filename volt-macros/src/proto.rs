//! `include_proto!`: parses the arguments, runs the generator, and places errors.

use std::{
    env,
    path::{Path, PathBuf},
};

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Ident, LitBool, LitStr, Token, bracketed,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};
use volt_codegen::{Options, Server, disk::Protos};

/// The arguments of the macro.
#[expect(clippy::struct_excessive_bools, reason = "independent options; no two exclude each other")]
pub(crate) struct Input {
    files: Vec<LitStr>,
    includes: Vec<LitStr>,
    server: bool,
    any_types: bool,
    own_volt_api: bool,
    share_volt_api: bool,
    renames: Vec<(LitStr, LitStr)>,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut parsed = Self {
            files: Vec::new(),
            includes: Vec::new(),
            server: true,
            any_types: true,
            own_volt_api: false,
            share_volt_api: false,
            renames: Vec::new(),
        };
        while !input.is_empty() {
            if input.peek(LitStr) {
                parsed.files.push(input.parse()?);
            } else {
                parsed.option(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if parsed.files.is_empty() {
            let message = "the path of a .proto file is needed, such as \"proto/shop.proto\"";
            return Err(syn::Error::new(Span::call_site(), message));
        }
        Ok(parsed)
    }
}

impl Input {
    fn option(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        const OPTIONS: [&str; 6] =
            ["any_types", "includes", "own_volt_api", "rename", "server", "share_volt_api"];
        let name: Ident = input.parse()?;
        if !OPTIONS.iter().any(|option| name == option) {
            let message = format!(
                "there is no option `{name}`: use `any_types`, `includes`, `own_volt_api`, `rename`, \
                 `server` or `share_volt_api`"
            );
            return Err(syn::Error::new(name.span(), message));
        }
        input.parse::<Token![=]>()?;
        if name == "any_types" {
            self.any_types = input.parse::<LitBool>()?.value;
        } else if name == "own_volt_api" {
            self.own_volt_api = input.parse::<LitBool>()?.value;
        } else if name == "share_volt_api" {
            self.share_volt_api = input.parse::<LitBool>()?.value;
        } else if name == "server" {
            self.server = input.parse::<LitBool>()?.value;
        } else if name == "rename" {
            let pairs;
            bracketed!(pairs in input);
            self.renames.extend(pairs.parse_terminated(renaming, Token![,])?);
        } else {
            let folders;
            bracketed!(folders in input);
            self.includes.extend(Punctuated::<_, Token![,]>::parse_terminated(&folders)?);
        }
        Ok(())
    }
}

/// `"shop.v1.Item.kind_" = "sort"`
fn renaming(input: ParseStream<'_>) -> syn::Result<(LitStr, LitStr)> {
    let element = input.parse()?;
    input.parse::<Token![=]>()?;
    Ok((element, input.parse()?))
}

/// The generated code, for the crate that cargo is building.
pub(crate) fn expand(input: &Input) -> syn::Result<TokenStream> {
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let folder =
        folder.ok_or_else(|| error(input, "CARGO_MANIFEST_DIR is not set: build with cargo"))?;
    expand_in(&folder, input)
}

fn expand_in(folder: &Path, input: &Input) -> syn::Result<TokenStream> {
    let (files, includes) =
        (input.files.iter().map(LitStr::value), input.includes.iter().map(LitStr::value));
    let (protos, options) = if input.own_volt_api {
        (Protos::read_own_volt_api(folder, files, includes), Options::own_volt_api())
    } else {
        (Protos::read(folder, files, includes), Options::volt_api())
    };
    let protos = protos.map_err(|problem| error(input, problem))?;
    let mut options =
        options.any_types(input.any_types).share_volt_api(input.share_volt_api).parallel(false);
    if !input.server {
        options = options.server(Server::Never);
    }
    for (element, name) in &input.renames {
        options = options.rename(element.value(), name.value());
    }
    let output = protos.generate(&options).map_err(|problem| error(input, problem))?;
    let text: String = output.files.into_iter().map(|file| file.contents).collect();
    let code: TokenStream = text.parse().map_err(|problem| error(input, problem))?;
    // This makes the compiler watch the files.
    let watched = protos.paths().map(|path| path.to_string_lossy().into_owned());
    let warnings = output.warnings.iter().map(|problem| warning(input, problem));
    Ok(quote! {
        #code
        #(const _: &[u8] = ::core::include_bytes!(#watched);)*
        #(#warnings)*
    })
}

/// A macro cannot print a warning. The use of a deprecated item is a warning.
fn warning(input: &Input, message: impl std::fmt::Display) -> TokenStream {
    let message = message.to_string();
    quote_spanned! {span(input, &message)=>
        const _: () = {
            #[deprecated(note = #message)]
            const WARNING: () = ();
            WARNING
        };
    }
}

fn error(input: &Input, message: impl std::fmt::Display) -> syn::Error {
    let message = message.to_string();
    syn::Error::new(span(input, &message), message)
}

/// The path of the file that a message begins with, or of the first file.
fn span(input: &Input, message: &str) -> Span {
    let about = input.files.iter().find(|file| message.starts_with(&file.value()));
    about.or(input.files.first()).map_or_else(Span::call_site, LitStr::span)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const CLOCK: &str = r#"
        syntax = "proto3";
        package clock.v1;
        import "tdx/volt_api/volt/v1/volt.proto";
        import "common.proto";
        service ClockAPI { rpc Tick(Tick) returns (tdx.volt_api.volt.v1.Resource); }
        message Tick { common.Zone zone = 1; }
    "#;
    const COMMON: &str =
        "syntax = \"proto3\";\npackage common;\nmessage Zone { int32 hours = 1; }\n";

    fn folder(clock: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("proto")).unwrap();
        fs::write(folder.path().join("proto/clock.proto"), clock).unwrap();
        fs::write(folder.path().join("proto/common.proto"), COMMON).unwrap();
        folder
    }

    fn expanded(folder: &Path, input: &str) -> Result<String, String> {
        let expanded = syn::parse_str(input).and_then(|input| expand_in(folder, &input));
        let file =
            expanded.and_then(syn::parse2::<syn::File>).map_err(|error| error.to_string())?;
        Ok(quote!(#file).to_string().replace(' ', ""))
    }

    #[test]
    fn paths_resolve_in_the_user_facing_crate() {
        let folder = folder(CLOCK);
        let code = expanded(folder.path(), "\"proto/clock.proto\"").unwrap();
        assert!(!code.contains("volt_runtime"), "{code}");
        let call = "->rt::UnaryCall<Tick,\
                    ::volt_api::api::volt::v1::Resource";
        assert!(code.contains(call), "{code}");
        assert!(!code.contains("pubstructResource"), "{code}");
        assert!(code.contains("pubstructZone"), "{code}");
        assert!(code.contains("pubtraitClockApi"), "{code}");
    }

    #[test]
    fn the_file_and_its_imports_are_watched() {
        let folder = folder(CLOCK);
        let code = expanded(folder.path(), "\"proto/clock.proto\"").unwrap();
        for file in ["proto/clock.proto", "proto/common.proto"] {
            let path = folder.path().join(file);
            assert!(code.contains(&format!("include_bytes!({path:?})")), "{code}");
        }
    }

    #[test]
    fn traits_are_omitted_on_request() {
        let folder = folder(CLOCK);
        let code = expanded(folder.path(), "\"proto/clock.proto\", server = false").unwrap();
        assert!(!code.contains("pubtrait") && code.contains("pubstructClockApiClient"), "{code}");
    }

    #[test]
    fn elements_can_be_renamed() {
        let folder = folder(CLOCK);
        let input = "\"proto/clock.proto\", rename = [\"clock.v1.Tick\" = \"Beat\", \"common.Zone.hours\" = \"h\"]";
        let code = expanded(folder.path(), input).unwrap();
        assert!(code.contains("pubstructBeat") && code.contains("pubh:i32"), "{code}");
    }

    #[test]
    fn any_without_a_list_of_types_is_the_use_of_a_deprecated_item() {
        let any = "syntax = \"proto3\";\npackage clock.v1;\nimport \"google/protobuf/any.proto\";\n\
                   message Tick { google.protobuf.Any zone = 1; }\n";
        let folder = folder(any);
        let code = expanded(folder.path(), "\"proto/clock.proto\"").unwrap();
        assert!(code.contains("any_types!") && !code.contains("WARNING"), "{code}");
        let code = expanded(folder.path(), "\"proto/clock.proto\", any_types = false").unwrap();
        let note = "#[deprecated(note=\"proto/clock.proto:4:16:thefield`zone`of`clock.v1.Tick`isa\
                    `google.protobuf.Any`:";
        assert!(code.contains(note) && !code.contains("any_types!"), "{code}");
    }

    #[test]
    fn errors_name_the_place_in_the_file() {
        let folder =
            folder("syntax = \"proto3\";\npackage clock.v1;\nmessage Tick { Zone zone = 1; }\n");
        assert_eq!(
            expanded(folder.path(), "\"proto/clock.proto\"").unwrap_err(),
            "proto/clock.proto:3:16: name 'Zone' is not defined\n  | message Tick { Zone zone = 1; }\n  \
             help: declare it, or import the file that does"
        );
    }

    #[test]
    fn errors_of_an_imported_file_name_it() {
        let folder = folder(CLOCK);
        fs::write(folder.path().join("proto/common.proto"), "syntax = \"proto3\";\nmessage {")
            .unwrap();
        assert_eq!(
            expanded(folder.path(), "\"proto/clock.proto\"").unwrap_err(),
            "proto/common.proto:2:9: expected an identifier, but found '{'\n  | message {"
        );
    }

    #[test]
    fn missing_imports_list_the_searched_folders() {
        let folder = folder(CLOCK);
        fs::remove_file(folder.path().join("proto/common.proto")).unwrap();
        assert_eq!(
            expanded(folder.path(), "\"proto/clock.proto\"").unwrap_err(),
            "proto/clock.proto:5:9: import 'common.proto' not found\n  | import \"common.proto\";\n  \
             help: names of imports begin at an include folder, here proto; or name a file of the Volt API"
        );
    }

    #[test]
    fn a_file_must_exist_in_an_include_folder() {
        let folder = folder(CLOCK);
        let missing = expanded(folder.path(), "\"proto/cloc.proto\"").unwrap_err();
        assert!(missing.starts_with("proto/cloc.proto: the file cannot be read: "), "{missing}");
        assert_eq!(
            expanded(folder.path(), "\"proto/clock.proto\", includes = [\"other\", \"api\"]")
                .unwrap_err(),
            "proto/clock.proto: the file is not in any of the include folders\n  help: those are other, api"
        );
    }

    #[test]
    fn invalid_input_is_reported() {
        let error = |input: &str| expanded(Path::new("."), input).unwrap_err();
        assert_eq!(error(""), "the path of a .proto file is needed, such as \"proto/shop.proto\"");
        assert_eq!(
            error("\"a.proto\", sever = false"),
            "there is no option `sever`: use `any_types`, `includes`, `own_volt_api`, `rename`, `server` or \
             `share_volt_api`"
        );
        assert_eq!(error("\"a.proto\" \"b.proto\""), "expected `,`");
    }
}
